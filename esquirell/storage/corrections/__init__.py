"""Corrections of a meter's stored data, each kept so that it can be undone."""
