"""The composition root: the only place that builds adapters."""

from esquirell.broker.sender import COMMAND_HEADER, EVERY_HEADER, SCHEDULE_HEADER
from esquirell.runtime.process import current, use
from esquirell.runtime.root import Runtime
from esquirell.services.capture import CAPTURE_TASK
from esquirell.wiring import celery_settings, make_directory

__all__ = [
    "CAPTURE_TASK",
    "COMMAND_HEADER",
    "EVERY_HEADER",
    "SCHEDULE_HEADER",
    "Runtime",
    "celery_settings",
    "current",
    "make_directory",
    "use",
]
