"""/api/v1: the data and commands of the page for programs, as JSON."""
