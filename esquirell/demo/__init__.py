"""The demo: everything on this machine, with simulated meters and servers of its own."""
