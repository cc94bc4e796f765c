"""The page: what the meters measure now, their history, and everything that can be changed.

Tornado is loaded here without what it colours terminals with: 0.2 MiB.
"""

from esquirell.lazy_import import missing

with missing("colorama"), missing("curses"):
    import tornado.log  # noqa: F401 - loaded here, without that
