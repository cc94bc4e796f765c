"""Pictures of the past: SVG for files and the page, characters for the terminal."""
