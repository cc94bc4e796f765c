"""What is remembered of a meter's counters: stored with its readings, shared by processes."""

from collections.abc import Callable, Collection
from datetime import timedelta

import pytest
from support.fakes import NOON, ReadingStore, meter

from esquirell.domain.errors import UnavailableError, UnreadableError
from esquirell.domain.reading import Ledger, Reading
from esquirell.services.ledgers import Ledgers, source_of

MAIN, GARAGE = meter(), meter("garage")
KEYS = ("energy_import", "voltage")


class Process:
    """One process that polls meters, with its ledgers; all share a database."""

    def __init__(self, store: ReadingStore) -> None:
        self.store = store
        self.ledgers = Ledgers(store)

    def reads(self, kwh: float, *, at: float) -> float | None:
        """Look up what is stored, read the main meter after so many hours, and store that."""
        self.ledgers.prepare(["main"])
        judged = self.judges(kwh, at=at)
        if not self.store.away:
            self.store.add([judged], {})
        return judged.values.get("energy_import")

    def judges(self, kwh: float, *, at: float) -> Reading:
        values = {"energy_import": kwh, "voltage": 230.0}
        taken = Reading("main", NOON + timedelta(hours=at), values)
        return self.ledgers.judge(taken, MAIN, KEYS)


@pytest.fixture
def store() -> ReadingStore:
    return ReadingStore()


def test_a_process_continues_the_ledger_of_another(store: ReadingStore) -> None:
    first, second = Process(store), Process(store)
    assert [first.reads(10 + hour, at=hour) for hour in range(3)] == [10, 11, 12]
    # The device begins again at zero, and counts up to more than it had.
    for hour, kwh in enumerate((0.0, 0.1, 0.2, 5, 10, 15), 3):
        second.reads(kwh, at=hour)
    assert first.reads(16, at=10) == pytest.approx(28)
    assert second.reads(17, at=11) == pytest.approx(29)


def test_what_another_process_stored_meanwhile_is_the_base_of_the_next(store: ReadingStore) -> None:
    first, second = Process(store), Process(store)
    first.reads(1000, at=0)
    second.reads(1001, at=1)
    first.ledgers.prepare(["main"])
    ledger = first.judges(1002, at=2).ledger
    assert ledger is not None
    assert ledger.based_on == NOON + timedelta(hours=1)


def test_counters_are_held_back_until_the_database_was_asked_once(
    store: ReadingStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    process = Process(store)
    assert not process.ledgers.prepare(["main"])
    assert process.ledgers.unknown(["main", "garage"]) == {"main", "garage"}
    assert process.reads(1000, at=0) is None
    assert process.judges(1000, at=0).values == {"voltage": 230.0}
    warned = [one for one in caplog.records if one.levelname == "WARNING"]
    assert [one.getMessage() for one in warned] == [
        "counters can't be looked up: the database is unreachable"
    ]
    store.away = False
    assert process.reads(1001, at=1) == 1001
    assert process.ledgers.unknown(["main", "garage"]) == {"garage"}
    store.away = True
    assert process.reads(1002, at=2) == 1002
    # No counter is held back: that the database is unreachable is said where readings are stored.
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 1


def test_what_could_not_be_looked_up_is_a_problem_until_it_is_looked_up_again(
    store: ReadingStore,
) -> None:
    process = Process(store)
    process.ledgers.retry()
    store.away = True
    assert not process.ledgers.prepare(["main"])
    process.ledgers.retry()
    assert process.ledgers.problem == "counters can't be looked up: the database is unreachable"
    store.away = False
    process.ledgers.retry()
    assert process.ledgers.problem == ""
    assert process.ledgers.unknown(["main"]) == set()


class Hanging(ReadingStore):
    """A database that hangs, and says for how long."""

    waited_s = 0

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        del names
        self.waited_s += 1
        raise UnavailableError(f"the database has not answered for {self.waited_s} s")


def test_a_database_that_hangs_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    process = Process(Hanging())
    for _ in range(3):
        assert not process.ledgers.prepare(["main"])
    assert [one.levelname for one in caplog.records].count("WARNING") == 1


def test_a_forgotten_ledger_is_loaded_again(store: ReadingStore) -> None:
    process = Process(store)
    process.reads(1000, at=0)
    assert process.ledgers.unknown(["main"]) == set()
    process.ledgers.forget(["main", "garage"])
    assert process.ledgers.unknown(["main"]) == {"main"}
    store.ledger_of.clear()
    assert process.reads(5, at=1) == 5


class Damaged(ReadingStore):
    """A database in which what is stored of the garage can't be read."""

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        if "garage" in names:
            raise UnreadableError("garage", "the stored counters of garage are damaged")
        return super().ledgers(names)


def test_a_damaged_ledger_affects_no_other_meter_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Damaged()
    process = Process(store)
    for _ in range(3):
        assert process.ledgers.prepare(["garage", "main"])
    assert process.ledgers.prepare(["garage"])
    assert process.ledgers.unknown(["garage", "main"]) == {"garage"}
    assert [one.getMessage() for one in caplog.records] == [
        "the stored counters of garage are damaged"
    ]
    store.away = True
    assert not process.ledgers.prepare(["garage", "main"])


def test_a_damaged_ledger_ends_the_problem_that_the_database_was_away() -> None:
    store = Damaged()
    process = Process(store)
    store.away = True
    assert not process.ledgers.prepare(["main"])
    store.away = False
    assert process.ledgers.prepare(["garage"])
    assert process.ledgers.problem == ""


class Slow(ReadingStore):
    """A database whose look-ups are counted, and can be refused at their beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.refuses = False

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        if self.refuses:
            raise UnavailableError("the database is unreachable")
        self.begun += 1
        return super().look_up(names)


def test_known_meters_are_looked_up_while_they_are_asked(store: ReadingStore) -> None:
    store = Slow()
    first, second = Process(store), Process(store)
    assert first.ledgers.begin(["main"])()
    assert store.begun == 0
    assert not first.ledgers.unknown(["main"])
    second.reads(700, at=0)
    ready = first.ledgers.begin(["main"])
    assert store.begun == 1
    assert ready()
    assert first.judges(701, at=1).ledger.based_on == NOON  # type: ignore[union-attr]  # it has one
    store.refuses = True
    assert first.ledgers.begin(["main"])()
    store.away = True
    assert not first.ledgers.begin(["main"])()
    assert not first.ledgers.begin(["garage"])()


def test_a_device_and_the_way_it_is_turned_are_a_source_of_their_own() -> None:
    sources = {source_of(device, invert) for device in ("a", "b") for invert in (False, True)}
    assert len(sources) == 4
    assert {len(source) for source in sources} == {16}
    assert source_of("a", ("b",)) == source_of("a", ("b",))
