"""`esquirell systemd`: the service of this machine, put in place, looked at, taken away."""
