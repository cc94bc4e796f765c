"""Corrections of what is stored of a meter, each kept so that it can be undone."""
