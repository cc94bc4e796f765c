"""The long-running roles: worker, beat, bridge, and all of them in one process.

Celery is loaded here without cffi, of which billiard needs nothing that ctypes lacks: 0.3 MiB.
"""

from esquirell.lazy_import import missing

with missing("cffi"):
    import celery.exceptions  # noqa: F401 - loaded here, without that
