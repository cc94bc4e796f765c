"""Flower, the web page that shows tasks and workers: locked, bounded, and true to this program."""
