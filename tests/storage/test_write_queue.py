"""Threads of one process write in the order in which they came."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from support.db_samples import sample
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.sqlite import WriteQueue


def test_writers_are_served_in_order() -> None:
    queue, order = WriteQueue(), list[int]()
    assert queue.take(0)
    began = threading.Semaphore(0)

    def write(number: int) -> None:
        began.release()
        assert queue.take(LIMIT_S)
        order.append(number)
        queue.pass_on()

    with ThreadPoolExecutor(20) as pool:
        for number in range(20):
            pool.submit(write, number)
            began.acquire()
            eventually(lambda count=number: queue.waiting > count, what="it waits")  # type: ignore[misc]
        queue.pass_on()
    assert order == list(range(20))
    assert queue.take(0)


def test_a_late_turn_passes_to_the_next_writer() -> None:
    queue = WriteQueue()
    assert queue.take(0)
    assert not queue.take(0.01)
    queue.pass_on()
    assert queue.take(0)


def test_a_writer_that_a_signal_interrupts_leaves_the_queue() -> None:
    queue = WriteQueue()
    assert queue.take(0)
    before = signal.signal(signal.SIGUSR1, _interrupt)
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        eventually(lambda: queue.waiting > 0, what="it waits")
        signal.pthread_kill(main, signal.SIGUSR1)

    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(interrupt)
            with pytest.raises(InterruptedError):
                queue.take(LIMIT_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    queue.pass_on()
    assert queue.take(0)


def _interrupt(*_: object) -> None:
    raise InterruptedError


def test_a_reading_waits_for_one_change_and_not_for_all(sqlite: Database) -> None:
    """Two threads change things again and again: a third one is let in between."""
    stop, changes = threading.Event(), list[int]()

    def change() -> None:
        while not stop.is_set():
            with sqlite.write() as connection:
                connection.execute(text("UPDATE meter SET name = name"))
                changes.append(1)
                stop.wait(0.02)

    Readings(sqlite).add([sample("main")], {})
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(change)
        try:
            eventually(lambda: len(changes) > 4, what="both are at it")
            for minutes in range(1, 21):
                before = len(changes)
                Readings(sqlite).add([sample("main", minutes * 60)], {})
                # The one that was at it, and the other one that waited already.
                assert len(changes) - before <= 3
        finally:
            stop.set()


def test_waiting_too_long_to_write_is_an_error(sqlite: Database) -> None:
    hasty = Database(str(sqlite.url), patience_s=0.05)
    with hasty.write(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Readings(hasty).add, [sample("main")], {})
        with pytest.raises(UnavailableError, match="busy with other changes: try again later"):
            waiting.result(LIMIT_S)
    Readings(hasty).add([sample("main")], {})
    hasty.close()


def test_a_fork_has_a_queue_of_its_own(sqlite: Database) -> None:
    with sqlite.write():
        queue = sqlite.writers()
        child = os.fork()
        if child == 0:
            os._exit(0 if sqlite.writers() is not queue else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
