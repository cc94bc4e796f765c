"""Ports with a stopwatch do what the real ones do, and count what they did."""

import pytest
from support import fakes
from support.db_samples import sample
from support.waiting import eventually

from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Ledger, MeterStatus
from esquirell.services.measured import MeasuredStore, MeasuredTransport

LIMIT_S = 60.0


class Measures:
    def __init__(self) -> None:
        self.polls: list[tuple[str, str, float]] = []
        self.transactions: list[tuple[int, float]] = []

    def polled(self, meter: str, result: str, seconds: float) -> None:
        self.polls.append((meter, result, seconds))

    def stored(self, readings: int, seconds: float) -> None:
        self.transactions.append((readings, seconds))


def test_each_answer_is_counted_with_what_came_of_it_and_handed_on() -> None:
    measures, got = Measures(), dict[str, RawDatapoints | EsquirellError]()
    error = MeterUnreachableError("no_data", "it said nothing")
    behind = fakes.Transport(live={"101": 2360}, dead=error)
    transport = MeasuredTransport(behind, measures)
    questions = [Question(fakes.meter(name), forced=True) for name in ("live", "dead")]
    transport.ask(questions, lambda asked, answer: got.update({asked.meter.name: answer}))
    eventually(lambda: len(got) == 2)
    assert got == {"live": RawDatapoints({"101": 2360}), "dead": error}
    assert {poll[:2] for poll in measures.polls} == {("live", "ok"), ("dead", "no_data")}
    assert all(0 <= seconds < LIMIT_S for _, _, seconds in measures.polls)
    assert [forced for _, _, forced in behind.asked] == [True, True]
    transport.close()
    assert behind.closed.is_set()


def test_each_transaction_is_counted_with_its_readings() -> None:
    measures, behind = Measures(), fakes.ReadingStore()
    behind.pause_s = 0.02
    store = MeasuredStore(behind, measures)
    store.add([sample("main", 1), sample("main", 2)], {"main": MeterStatus(failures=3)})
    ((count, seconds),) = measures.transactions
    assert (count, len(behind.rows)) == (2, 2)
    assert 0.02 <= seconds < LIMIT_S
    assert store.statuses() == {"main": MeterStatus(failures=3)}
    behind.ledger_of = {name: Ledger(fakes.NOON) for name in ("main", "yard")}
    assert store.ledgers(["main"]).keys() == {"main"}
    store.try_out()


def test_what_was_not_stored_is_not_counted() -> None:
    measures, behind = Measures(), fakes.ReadingStore()
    store, behind.away = MeasuredStore(behind, measures), True
    with pytest.raises(UnavailableError):
        store.add([sample("main", 1)], {})
    with pytest.raises(UnavailableError):
        store.try_out()
    assert measures.transactions == []
