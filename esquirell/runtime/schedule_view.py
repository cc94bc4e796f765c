"""The schedules, to be looked at without Celery: loading it takes longer than to answer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from esquirell.beat.snapshot import ScheduleSnapshots
from esquirell.beat.timetable_view import TimetableView
from esquirell.broker.connection import connect
from esquirell.runtime.connections import address_of
from esquirell.runtime.storage import Storage
from esquirell.services.schedules import ScheduleView
from esquirell.settings import Settings


@contextmanager
def schedule_view_of(settings: Settings, storage: Storage) -> Iterator[ScheduleView]:
    """Open a connection to Redis, which knows when schedules ran; the record is in `storage`."""
    with closing(connect(address_of(settings))) as client:
        timetable = TimetableView(ScheduleSnapshots(client), settings.timezone)
        yield ScheduleView(storage.schedules, timetable)
