"""The runtime of this process."""

import os
import threading

from celery import Celery

from esquirell.runtime.root import Runtime
from esquirell.settings import load

_built: dict[int, Runtime] = {}
_building = threading.Lock()


def current(app: Celery) -> Runtime:
    """Return the runtime of this process; a forked child has its own."""
    with _building:
        if os.getpid() not in _built:
            _built[os.getpid()] = Runtime(load(), app)
        return _built[os.getpid()]


def use(runtime: Runtime) -> None:
    """Make `runtime` the one of this process."""
    _built[os.getpid()] = runtime
