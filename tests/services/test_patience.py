"""A hanging database delays neither polls nor readings."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest
from support.db_samples import sample
from support.fakes import ReadingStore, Spool
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.services.patience import Lane, PatientStore, StalledError
from esquirell.services.saving import TRY_AGAIN_S, Saver

PATIENCE_S = 0.05


class HungStore(ReadingStore):
    """Stores nothing, and fails at nothing, until it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.entered = threading.Event()

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        self.entered.set()
        self.goes_on.wait(LIMIT_S)
        super().add(readings, statuses)

    def try_out(self) -> None:
        self.goes_on.wait(LIMIT_S)
        super().try_out()


class HungSpool(Spool):
    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def count(self) -> int:
        self.goes_on.wait(LIMIT_S)
        return super().count()


@pytest.fixture
def store() -> Iterator[HungStore]:
    hung = HungStore()
    yield hung
    hung.goes_on.set()


def test_a_lane_returns_and_raises_what_its_work_does() -> None:
    lane = Lane("the disk")
    assert lane.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        lane.run(lambda: 1 // 0)
    assert lane.run(lambda: 8) == 8


def test_work_for_a_hanging_lane_is_refused_at_once() -> None:
    lane, goes_on, done = Lane("the disk", PATIENCE_S), threading.Event(), threading.Event()

    def work() -> None:
        goes_on.wait(LIMIT_S)
        done.set()

    with pytest.raises(StalledError, match="the disk has not answered for 0 s"):
        lane.run(work)
    eventually(lambda: lane.stalled_s() > PATIENCE_S)
    begun: list[int] = []
    with pytest.raises(StalledError):
        lane.run(lambda: begun.append(1))
    goes_on.set()
    assert done.wait(LIMIT_S)
    eventually(lambda: not lane.stalled_s())
    assert lane.run(lambda: 7) == 7
    assert begun == []


def test_work_queued_behind_a_hang_is_not_done_later() -> None:
    lane, goes_on = Lane("the disk", LIMIT_S), threading.Event()
    first = threading.Thread(target=lane.run, args=(lambda: goes_on.wait(LIMIT_S),))
    first.start()
    eventually(lambda: lane.stalled_s() > 0)
    done: list[int] = []
    # It is given up before it has begun: the present work is older than it may be.
    with pytest.raises(StalledError):
        lane.run(lambda: done.append(1), 0.01)
    goes_on.set()
    first.join(LIMIT_S)
    assert lane.run(lambda: 7) == 7
    assert done == []


FORKING = """
import os, threading
from esquirell.services.patience import Lane, StalledError
lane, goes_on = Lane("the disk", 0.05), threading.Event()
try:
    lane.run(goes_on.wait)
except StalledError:
    pass
while lane.stalled_s() <= 0.05:
    pass
child = os.fork()
if child == 0:
    os._exit(lane.run(lambda: 7, 30.0 if lane.stalled_s() == 0 else None))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
goes_on.set()
"""


def test_a_forked_child_is_not_kept_waiting_by_what_its_parent_was_at() -> None:
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")


def test_a_database_that_hangs_keeps_no_reading_waiting(store: HungStore) -> None:
    spool = Spool()
    saver = Saver(PatientStore(store, PATIENCE_S), spool)
    assert isinstance(saver.save([sample("main", 1)], {}), StalledError)
    for second in range(2, 5):
        assert saver.save([sample("main", second)], {})
    assert spool.count() == saver.waiting == 4
    (problem,) = saver.problems
    assert problem.startswith("readings wait for the database: the database has not answered")


def test_a_recovered_database_gets_everything_once_without_a_new_reading(store: HungStore) -> None:
    saver = Saver(PatientStore(store, PATIENCE_S), Spool())
    saver.save([sample("main", 1)], {})
    saver.save([sample("main", 2)], {})
    trying = threading.Thread(target=saver.retry)
    trying.start()
    store.goes_on.set()
    trying.join(LIMIT_S)
    assert [one.measured_at.second for one in store.rows.values()] == [1, 2]
    assert (saver.waiting, saver.problems) == (0, [])
    assert saver.save([sample("main", 3)], {}) is None


def test_a_new_reading_tries_the_database_again(
    store: HungStore,
) -> None:
    uptime_s = [1000.0]
    patient = PatientStore(store, PATIENCE_S)
    saver = Saver(patient, Spool(), monotonic=lambda: uptime_s[0])
    assert isinstance(saver.save([sample("main", 1)], {}), StalledError)
    store.goes_on.set()
    uptime_s[0] += TRY_AGAIN_S - 1
    assert isinstance(saver.save([sample("main", 2)], {}), StalledError)

    def later() -> bool:
        uptime_s[0] += TRY_AGAIN_S
        return saver.save([sample("main", 2)], {}) is None

    eventually(later)
    assert [one.measured_at.second for one in store.rows.values()] == [1, 2]
    assert (saver.waiting, saver.problems) == (0, [])


def test_reading_does_not_wait_for_writing(store: HungStore) -> None:
    patient = PatientStore(store, PATIENCE_S)
    with pytest.raises(UnavailableError):
        patient.add([sample("main", 1)], {})
    assert patient.statuses() == {}
    assert patient.ledgers(["main"]) == {}


def test_a_disk_that_hangs_keeps_no_reading_waiting(caplog: pytest.LogCaptureFixture) -> None:
    store, spool = ReadingStore(), HungSpool()
    saver = Saver(store, spool, disk=Lane("the disk", PATIENCE_S))
    assert saver.waiting == 0
    store.away = True
    for second in range(3):
        saver.save([sample("main", second)], {})
    assert saver.waiting == 3
    assert caplog.text.count("readings wait in memory only") == 1
    assert "space on the disk: the disk has not answered" in saver.problems[1]
    spool.goes_on.set()
    store.away = False
    eventually(lambda: saver.save([], {}) is None and not saver.problems)
    assert len(store.rows) == 3


def test_without_a_free_thread_it_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane("the disk")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(
                StalledError, match="the disk can't be used: can't start new thread"
            ):
                lane.run(lambda: 1)
    assert lane.run(lambda: 1) == 1
