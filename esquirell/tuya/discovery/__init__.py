"""Finds devices on the LAN by their ids, and reads them at whatever address they have."""
