"""Tuya energy meters into a database and into Home Assistant, on a schedule."""
