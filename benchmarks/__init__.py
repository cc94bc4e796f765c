"""Measures what a reading costs, and how soon and how surely it comes: `python -m benchmarks`."""
