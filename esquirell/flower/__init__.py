"""Flower, the web page that shows tasks and workers: protected, bounded and accurate."""
