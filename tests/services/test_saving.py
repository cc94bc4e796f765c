"""What becomes of readings while the database, or even the disk, is away."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.db_samples import sample
from support.fakes import ReadingStore, Spool
from support.waiting import LIMIT_S, eventually

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.services.patience import Lane
from esquirell.services.saving import BATCH, EMPTY_S, SLOW, Saver
from esquirell.storage.spool import Spool as DiskSpool


@pytest.fixture
def store() -> ReadingStore:
    return ReadingStore()


@pytest.fixture
def spool() -> Spool:
    return Spool()


@pytest.fixture
def saver(store: ReadingStore, spool: Spool) -> Saver:
    return Saver(store, spool)


def test_readings_are_spooled_and_stored_in_order(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    store.away = True
    assert saver.save([sample("main", 1)], {})
    assert saver.save([sample("main", 2)], {})
    assert (saver.waiting, spool.count()) == (2, 2)
    store.away = False
    assert saver.save([sample("main", 3)], {}) is None
    assert (saver.waiting, spool.count()) == (0, 0)
    assert [one.measured_at.second for one in store.rows.values()] == [1, 2, 3]


def test_what_an_earlier_process_could_not_store_is_stored(
    store: ReadingStore, spool: Spool
) -> None:
    spool.add([sample("main", second) for second in range(BATCH + 1)])
    assert Saver(store, spool).save([], {}) is None
    assert len(store.rows) == BATCH + 1
    assert spool.count() == 0


def test_a_database_that_fails_halfway_loses_no_reading(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    spool.add([sample("main", second) for second in range(2 * BATCH)])
    store.transactions_left = 1
    assert saver.save([sample("main", 5000)], {})
    assert (len(store.rows), saver.waiting) == (BATCH, BATCH + 1)
    store.transactions_left = None
    assert saver.save([], {}) is None
    assert len(store.rows) == 2 * BATCH + 1


def test_a_database_that_fails_again_and_again_is_tried_with_one_reading(
    saver: Saver, store: ReadingStore, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial would otherwise fetch and send hundreds."""
    spool.add([sample("main", second) for second in range(BATCH)])
    add, tried = store.add, list[int]()

    def counted(readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        tried.append(len(readings))
        add(readings, statuses)

    monkeypatch.setattr(store, "add", counted)
    store.away = True
    for _ in range(3):
        assert saver.save([], {})
    assert tried == [BATCH, 1, 1]
    store.away = False
    assert saver.save([], {}) is None
    assert (len(store.rows), spool.count()) == (BATCH, 0)
    assert len(tried) < 15


def test_a_disk_that_is_full_leaves_memory(
    saver: Saver, store: ReadingStore, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = spool.full = True
    saver.save([sample("main", 1)], {})
    saver.save([sample("main", 2)], {})
    assert saver.waiting == 2
    said = "readings wait in memory only, 10000 at most: the disk is full"
    assert caplog.text.count(said) == 1
    assert caplog.text.count("readings stay in the spool") == 1
    assert saver.problems == [
        "readings wait for the database: the database is unreachable",
        "readings wait for space on the disk: the disk is full",
    ]
    spool.full = False
    saver.save([sample("main", 3)], {})
    assert spool.count() == saver.waiting == 3


def test_a_reading_that_the_database_never_takes_holds_up_no_other(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    bad = [sample("main", second) for second in (0, 7, 300)]
    store.never = {reading.measured_at for reading in bad}
    spool.add([sample("main", second) for second in range(400)])
    # Such a reading that comes now is stored with what waits, the next time.
    saver.save([sample("main", 1000)], {})
    saver.save([sample("main", 1001)], {})
    assert (len(store.rows), spool.aside, saver.waiting) == (399, bad, 0)
    assert saver.problems == []


def test_on_a_full_disk_a_reading_that_the_database_never_takes_holds_up_no_other(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    spool.full = store.away = True
    for second in range(7):
        assert saver.save([sample("main", second)], {})
    store.never = {sample("main", 3).measured_at}
    store.away = False
    assert saver.save([sample("main", 7)], {}) is None
    assert saver.save([sample("main", 8)], {}) is None
    assert sorted(one.measured_at.second for one in store.rows.values()) == [0, 1, 2, 4, 5, 6, 7, 8]
    assert saver.waiting == 1
    spool.full = False
    for second in (9, 10):
        assert saver.save([sample("main", second)], {}) is None
    assert [one.measured_at.second for one in spool.aside] == [3]
    assert (saver.waiting, saver.problems) == (0, [])


def test_a_new_reading_that_the_database_never_takes_is_set_aside(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    bad = sample("main", 1)
    store.never = {bad.measured_at}
    saver.save([bad, sample("other", 2)], {})
    saver.save([sample("main", 3)], {})
    assert (len(store.rows), spool.aside, saver.problems) == (2, [bad], [])


def test_a_database_that_refuses_every_reading_loses_none(
    saver: Saver, store: ReadingStore, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a rule or a trigger that somebody added to its table: no reading is to blame."""
    store.refuses_all = True
    for second in range(20):
        assert str(saver.save([sample("main", second)], {})) == "no rows today"
        saver.retry()
    assert (saver.waiting, spool.aside) == (20, [])
    assert saver.problems == ["readings wait for the database: no rows today"]
    assert caplog.text.count("readings wait for the database") == 1
    store.refuses_all = False
    saver.retry()
    assert (len(store.rows), saver.waiting, spool.aside) == (20, 0, [])
    assert saver.problems == []


def test_readings_that_the_database_never_takes_are_set_aside_once_it_takes_another(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    bad = [sample("main", second) for second in range(7)]
    store.never = {reading.measured_at for reading in bad}
    spool.add(bad)
    saver.retry()
    assert (saver.waiting, spool.aside) == (7, [])
    assert saver.problems == ["readings wait for the database: a number is too large"]
    for second in (10, 11):
        assert saver.save([sample("main", second)], {}) is None
    assert (len(store.rows), saver.waiting, spool.aside, saver.problems) == (2, 0, bad, [])


def test_an_unforeseen_fault_of_the_database_loses_no_reading(
    saver: Saver, store: ReadingStore
) -> None:
    store.fault = MemoryError("no room")
    saver.save([sample("main", 1)], {})
    assert saver.problems == [
        "readings wait for the database: storing failed unexpectedly: MemoryError('no room')"
    ]
    store.fault = None
    saver.save([sample("main", 2)], {})
    assert (len(store.rows), saver.waiting, saver.problems) == (2, 0, [])


def test_a_spool_that_cannot_be_read_holds_nothing_up(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    spool.add([sample("main", 1)])
    spool.full = True
    assert saver.save([sample("main", 2)], {}) is None
    assert len(store.rows) == 1


def test_the_outage_is_reported_once(
    saver: Saver, store: ReadingStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    for second in range(3):
        saver.save([sample("main", second)], {})
    warnings = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert warnings == ["readings wait for the database: the database is unreachable"]


def test_a_thread_that_waits_for_a_locked_database_delays_no_other(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    store.away = True
    saver.save([], {})
    with ThreadPoolExecutor(1) as pool:
        store.locked.clear()
        trying = pool.submit(saver.save, [], {})
        eventually(lambda: store.tried > 1, what="the database is tried")
        assert str(saver.save([sample("main", 1)], {})) == "the database is unreachable"
        assert (spool.count(), store.tried, trying.done()) == (1, 2, False)
        store.locked.set()
    store.away = False
    assert saver.save([sample("main", 2)], {}) is None
    assert len(store.rows) == 2


def test_readings_lost_with_the_process_are_counted(
    store: ReadingStore, caplog: pytest.LogCaptureFixture
) -> None:
    saver = Saver(store, DiskSpool(Path("/", "x" * 300, "spool.db")))
    saver.leave()
    assert "lost" not in caplog.text
    store.away = True
    saver.save([sample("main", 1), sample("main", 2)], {})
    saver.leave()
    assert "2 readings are lost with this process: readings wait for the database" in caplog.text


def test_a_disk_that_fails_keeps_no_reading_from_the_database(store: ReadingStore) -> None:
    saver = Saver(store, DiskSpool(Path("/", "x" * 300, "spool.db")))
    assert saver.save([sample("main", 1)], {}) is None
    assert len(store.rows) == 1
    assert saver.waiting == 0


def test_what_waited_for_a_slow_database_is_stored_without_another_reading(
    saver: Saver, store: ReadingStore, spool: Spool
) -> None:
    add, began, goes_on = store.add, threading.Event(), threading.Event()

    def slowly(readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        if readings and not began.is_set():
            began.set()
            assert goes_on.wait(LIMIT_S)
        add(readings, statuses)

    store.add = slowly  # type: ignore[method-assign]
    first = threading.Thread(target=saver.save, args=([sample("main", 1)], {}))
    first.start()
    assert began.wait(LIMIT_S)
    assert saver.save([sample("main", 2)], {}) is SLOW
    goes_on.set()
    first.join()
    saver.retry()
    assert (len(store.rows), spool.count()) == (2, 0)


def test_an_empty_spool_is_not_looked_at_again_and_again(store: ReadingStore) -> None:
    spool, clock = Spool(), [0.0]
    saver = Saver(store, spool, monotonic=lambda: clock[0])
    assert saver.waiting == 0
    spool.add([sample("main", 1)])
    assert saver.waiting == 0
    clock[0] += EMPTY_S
    assert saver.waiting == 1
    spool.add([sample("main", 2)])
    assert saver.waiting == 2


def test_what_this_process_keeps_counts_at_once(saver: Saver, store: ReadingStore) -> None:
    assert saver.waiting == 0
    store.away = True
    saver.save([sample("main", 1)], {})
    assert saver.waiting == 1


def test_readings_added_while_the_spool_is_counted_are_counted(store: ReadingStore) -> None:
    """The count that was taken just before says that the spool is empty."""

    class Counted(Spool):
        saver: Saver

        def count(self) -> int:
            before = super().count()
            if not before:
                keeper = threading.Thread(target=self.saver.save, args=([sample("main", 1)], {}))
                keeper.start()
                keeper.join(LIMIT_S)
            return before

    class Direct(Lane):
        def run(self, work: Callable[[], Any], patience_s: float | None = None) -> Any:  # noqa: ANN401 - as of the work
            del patience_s
            return work()

    store.away = True
    spool = Counted()
    spool.saver = saver = Saver(store, spool, disk=Direct("the disk"))
    assert saver.waiting == 0
    assert saver.waiting == 1
