"""The threads of a worker: those for polls, and one run of a schedule at a time."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.worker import state
from kombu import Message
from support.waiting import LIMIT_S, eventually

from esquirell.daemon import records, threads
from esquirell.daemon.threads import Runs, ThreadPool, ThreadRequest
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER

FETCH = "esquirell.tasks.fetch_and_save_energy_data"
OWN = "my_tasks.report"


def nothing() -> None:
    """Stand for what a task does."""


MakeRun = Callable[..., ThreadRequest]


@pytest.fixture
def run() -> Iterator[MakeRun]:
    """Make runs of one schedule, as a worker takes them from its queue."""
    app = Celery(broker="memory://", backend="cache+memory://", set_as_current=False)
    app.task(name=OWN)(nothing)
    with app.connection() as connection, connection.channel() as channel:

        def make(task: str = OWN, **headers: str | int) -> ThreadRequest:
            named: dict[str, Any] = {"id": str(uuid4()), "task": task, SCHEDULE_HEADER: "report"}
            message = Message(
                json.dumps([[], {}, {}]),
                channel=channel,
                headers=named | headers,
                content_type="application/json",
                content_encoding="utf-8",
            )
            return ThreadRequest(message, app=app, on_ack=lambda *_: None)

        yield make


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(limit=1)
    yield pool
    pool.on_stop()


def apply(pool: ThreadPool, request: ThreadRequest, target: Callable[[], object]) -> None:
    pool.on_apply(target, (), {}, lambda _: None, request.on_accepted)


def expire(run: ThreadRequest) -> None:
    run.expires = datetime.now(UTC) - timedelta(seconds=1)


def cancel(run: ThreadRequest) -> None:
    state.revoked.add(run.id)


def test_of_a_schedule_one_run_waits_or_goes_on(run: MakeRun) -> None:
    runs, first, second = Runs(), run(), run()
    assert runs.enter(first)
    assert not runs.enter(second)
    assert not runs.begin(second)
    assert runs.begin(first)
    assert not runs.enter(second)
    assert runs.enter(run(**{SCHEDULE_HEADER: "another"}))
    runs.leave(first)
    assert runs.enter(second)


@pytest.mark.parametrize("discard", [expire, cancel])
def test_a_run_that_was_discarded_while_it_waited_keeps_no_other_from_running(
    run: MakeRun, discard: Callable[[ThreadRequest], None]
) -> None:
    runs, first, second = Runs(), run(), run()
    assert runs.enter(first)
    discard(first)
    assert runs.enter(second)
    assert first.revoked()
    assert runs.begin(second)


@pytest.mark.parametrize("headers", [{"retries": 1}, {COMMAND_HEADER: "id"}])
def test_a_retry_and_a_run_on_demand_begin_beside_another_and_no_other_beside_them(
    run: MakeRun, headers: dict[str, Any]
) -> None:
    runs, waits, overlaps = Runs(), run(), run(**headers)
    assert runs.enter(waits)
    assert runs.enter(overlaps)
    assert runs.begin(overlaps)
    assert not runs.begin(waits)


def test_of_runs_that_come_at_once_one_begins(run: MakeRun) -> None:
    runs, together = Runs(), Barrier(8)

    def enter(_: int) -> int:
        entered = 0
        for _ in range(200):
            together.wait(LIMIT_S)
            request = run()
            entered += runs.enter(request) and runs.begin(request)
            together.wait(LIMIT_S)
            runs.leave(request)
        return entered

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(enter, range(8))) == 200


def test_polls_run_while_other_tasks_hold_all_threads_also_of_a_pool_that_has_grown(
    run: MakeRun, pool: ThreadPool
) -> None:
    end, together, polled = Event(), Barrier(3), Event()
    try:
        for number in range(5):
            apply(pool, run(**{SCHEDULE_HEADER: f"stuck-{number}"}), lambda: end.wait(LIMIT_S))
        apply(pool, run(FETCH), polled.set)
        assert polled.wait(LIMIT_S)
        pool.grow(1)
        for _ in range(2):
            apply(pool, run(FETCH), lambda: together.wait(LIMIT_S))
        together.wait(LIMIT_S)
    finally:
        end.set()


def test_what_waits_for_long_is_taken_back_and_does_not_run(
    run: MakeRun, pool: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", 0.0)
    end, began, ran = Event(), Event(), Event()

    def hold() -> None:
        began.set()
        end.wait(LIMIT_S)

    try:
        apply(pool, run(**{SCHEDULE_HEADER: "stuck"}), hold)
        assert began.wait(LIMIT_S)
        waits = run()
        apply(pool, waits, ran.set)
        eventually(lambda: pool.keeps_waiting)
        assert pool.take_back() == [waits]
        assert not pool.keeps_waiting
    finally:
        end.set()
    pool.on_stop()
    assert not ran.is_set()


def test_a_skipped_run_is_recorded_while_the_earlier_one_goes_on(
    run: MakeRun, pool: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, skipped = Event(), Event()
    monkeypatch.setattr(records, "on_overlap", lambda _: skipped.set())
    try:
        for _ in range(2):
            apply(pool, run(), lambda: end.wait(LIMIT_S))
        assert skipped.wait(LIMIT_S)
    finally:
        end.set()


def test_a_run_that_expired_before_the_pool_took_it_keeps_no_other_from_running(
    run: MakeRun, pool: ThreadPool
) -> None:
    expired, began = run(), Event()
    expire(expired)
    with pytest.raises(TaskRevokedError):
        expired.execute_using_pool(pool)
    apply(pool, run(), began.set)
    assert began.wait(LIMIT_S)
