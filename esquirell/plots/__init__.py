"""Charts of history: SVG for files and the page, characters for the terminal."""
