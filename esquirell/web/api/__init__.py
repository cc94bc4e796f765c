"""/api/v1: the same for programs, as JSON."""
