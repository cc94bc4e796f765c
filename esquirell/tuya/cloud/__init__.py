"""Tuya's cloud: readings of meters that can't be reached over the LAN, and local keys."""
