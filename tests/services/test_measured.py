"""What metrics count: each read with its result, each transaction with its readings."""

import pytest
from support import fakes
from support.db_samples import sample
from support.waiting import eventually

from esquirell.domain.errors import MeterUnreachableError, UnavailableError
from esquirell.domain.raw_datapoints import Question
from esquirell.domain.reading import MeterStatus
from esquirell.services.patience import PatientStore
from esquirell.services.reads import InFlightReads, Intake

LIMIT_S = 60.0


def test_each_read_is_counted_with_its_result() -> None:
    polls: list[tuple[str, str, float]] = []
    error = MeterUnreachableError("no_data", "it said nothing")
    behind = fakes.Transport(live={"101": 2360}, dead=error)
    reads = InFlightReads(behind, Intake(lambda *_: sample("live", 1)), lambda: fakes.NOON)
    reads.on_read = lambda *read: polls.append(read)
    questions = [Question(fakes.meter(name), forced=True) for name in ("live", "dead")]
    reads.start(questions, join=True)
    eventually(lambda: len(polls) == 2)
    assert {poll[:2] for poll in polls} == {("live", "ok"), ("dead", "no_data")}
    assert all(0 <= seconds < LIMIT_S for _, _, seconds in polls)


def test_each_transaction_is_counted_with_its_readings() -> None:
    transactions, behind = list[tuple[int, float]](), fakes.ReadingStore()
    behind.pause_s = 0.02
    store = PatientStore(behind)
    store.on_stored = lambda *stored: transactions.append(stored)
    store.add([sample("main", 1), sample("main", 2)], {"main": MeterStatus(failures=3)})
    ((count, seconds),) = transactions
    assert (count, len(behind.rows)) == (2, 2)
    assert 0.02 <= seconds < LIMIT_S


def test_readings_that_were_not_stored_are_not_counted() -> None:
    transactions, behind = list[tuple[int, float]](), fakes.ReadingStore()
    store, behind.away = PatientStore(behind), True
    store.on_stored = lambda *stored: transactions.append(stored)
    with pytest.raises(UnavailableError):
        store.add([sample("main", 1)], {})
    assert transactions == []
