"""The demo: everything on this machine, with simulated meters and its own servers."""
