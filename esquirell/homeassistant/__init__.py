"""Home Assistant's websocket: its long-term statistics are read and written here."""
