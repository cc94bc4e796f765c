"""Several processes that derive entries at the same time: who read first must not write last."""

import threading

import pytest
from celery import Celery
from support.redis_server import RedisProcess
from support.waiting import LIMIT_S, eventually

from esquirell.beat.redbeat import client_of
from esquirell.beat.snapshot import ScheduleSnapshots
from esquirell.beat.timetable import LOCK_KEY, RedBeatTimetable
from esquirell.domain.errors import UnavailableError


@pytest.fixture
def timetable(app: Celery) -> RedBeatTimetable:
    return RedBeatTimetable(app, ScheduleSnapshots(client_of(app)), "UTC")


def test_one_waits_until_the_other_is_done(timetable: RedBeatTimetable, app: Celery) -> None:
    done: list[str] = []

    def second() -> None:
        begun.set()
        with RedBeatTimetable(app, ScheduleSnapshots(client_of(app)), "UTC").lock():
            done.append("second")

    begun, other = threading.Event(), threading.Thread(target=second)
    with timetable.lock():
        other.start()
        assert begun.wait(LIMIT_S)
        other.join(0.2)
        done.append("first")
    other.join(LIMIT_S)
    assert done == ["first", "second"]


def test_a_process_that_died_with_the_lock_delays_others_by_seconds(
    timetable: RedBeatTimetable, server: RedisProcess
) -> None:
    server.client.set(LOCK_KEY, "a process that is no more", px=300)
    with timetable.lock():
        assert server.client.pttl(LOCK_KEY) > 300


def test_redis_emptied_in_a_turn_is_no_failure(
    timetable: RedBeatTimetable, server: RedisProcess
) -> None:
    with timetable.lock():
        server.client.flushall()
    assert eventually(lambda: not server.client.exists(LOCK_KEY))


def test_without_redis_there_is_no_turn(timetable: RedBeatTimetable, server: RedisProcess) -> None:
    server.kill()
    with pytest.raises(UnavailableError), timetable.lock():
        pass
    server.start()
