"""tenacity, which RedBeat uses, imported without Tornado.

It imports Tornado wherever that is installed, for decorated coroutines that are not used here: a
MiB in every process, even without the page. Import this module before RedBeat.
"""

import sys

TORNADO = "tornado"

if TORNADO not in sys.modules:
    # Importing a module that is None fails as if it were not installed.
    sys.modules[TORNADO] = None  # type: ignore[assignment]
    try:
        import tenacity  # noqa: F401 - for what it does
    finally:
        del sys.modules[TORNADO]
