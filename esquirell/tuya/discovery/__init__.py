"""Finds devices on the LAN by their ids, and reads them wherever they are."""
