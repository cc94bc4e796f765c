"""tenacity, which RedBeat uses, imported without Tornado.

It imports Tornado wherever that is installed, for decorated coroutines that are not used here: a
MiB in every process, even without the page. Import this module before RedBeat.
"""

from esquirell.lazy_import import missing

with missing("tornado"):
    import tenacity  # noqa: F401 - for what it does
