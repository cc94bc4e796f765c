"""`esquirell systemd`: installing, inspecting and removing the service on this machine."""
