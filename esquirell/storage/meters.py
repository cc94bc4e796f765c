"""What is stored about the meters besides their readings: ids, status and ledgers."""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, ScalarSelect, Select, Text, bindparam, cast, select, update
from sqlalchemy.engine import Connection

from esquirell.domain.errors import UnreadableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.storage import direct
from esquirell.storage.tables import insert_new, insert_or_update, ledger, meter, reading

log = logging.getLogger(__name__)

_NEW = {"keys": [], "failures": 0, "reason": None}

# Keys as text: those of most meters are equal, and are parsed once. By name, as `keys` is a
# method of every collection of columns.
_KEYS = cast(meter.c["keys"], Text)
_COLUMNS = (meter.c.name, meter.c.failures, meter.c.reason, _KEYS)
_STORED = select(meter.c.id, *_COLUMNS).where(meter.c.name.in_(bindparam("names", expanding=True)))
_TEXTS_REMEMBERED = 256

_CHANGE = (
    update(meter)
    .where(meter.c.name == bindparam("of"))
    .values(
        keys=bindparam("new_keys"),
        failures=bindparam("new_failures"),
        reason=bindparam("new_reason"),
    )
)


class StoredMeter(NamedTuple):
    """What is stored about a meter: its id and status."""

    id: int
    keys: tuple[str, ...]
    failures: int
    reason: str | None


def newest() -> ScalarSelect[object]:
    """Return the query for the time of a meter's latest reading: one index seek per meter."""
    return _first_by(reading.c.measured_at.desc())


def oldest() -> ScalarSelect[object]:
    """Return the query for the time of a meter's first reading: one index seek per meter."""
    return _first_by(reading.c.measured_at.asc())


def _first_by(order: ColumnElement[object]) -> ScalarSelect[object]:
    return (
        select(reading.c.measured_at)
        .where(reading.c.meter_id == meter.c.id)
        .order_by(order)
        .limit(1)
        .correlate(meter)
        .scalar_subquery()
    )


def stored(connection: Connection, names: Collection[str]) -> dict[str, StoredMeter]:
    """Return what is stored about meters, by name; meters without a row are left out."""
    rows = direct.select_by_names(connection, _STORED, names)
    return {
        name: StoredMeter(meter_id, _parsed(keys), failures, reason)
        for meter_id, name, failures, reason, keys in rows
    }


def ids_of(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of meters by name, adding rows for new ones."""
    # In the same order in all processes, or two of them could deadlock.
    wanted = sorted(names)
    known = known_ids(connection, wanted)
    new = [{"name": name} | _NEW for name in wanted if name not in known]
    if not new:
        return known
    connection.execute(insert_new(connection.dialect.name, meter), new)
    return known_ids(connection, wanted)


def known_ids(connection: Connection, names: Collection[str] | None = None) -> dict[str, int]:
    """Return the ids of known meters, of all or of those named."""
    query = select(meter.c.name, meter.c.id)
    if names is not None:
        query = query.where(meter.c.name.in_(direct.filled_up(names)))
    return {row.name: row.id for row in connection.execute(query)}


def read_statuses(connection: Connection) -> dict[str, MeterStatus]:
    """Return the status of every meter ever seen, by name."""
    return {
        name: MeterStatus(failures, reason, last_success, _parsed(keys))
        for name, failures, reason, keys, last_success in connection.execute(_statuses())
    }


@cache
def _statuses() -> Select[tuple[Any, ...]]:
    # Built once: that takes longer than to run it.
    return select(*_COLUMNS, newest().label("last_success"))


def write_statuses(
    connection: Connection, statuses: Mapping[str, MeterStatus], before: Mapping[str, StoredMeter]
) -> None:
    """Store the statuses that differ from those `before`, to spare an SD card."""
    changes = [
        {
            "of": name,
            "new_keys": list(new.keys),
            "new_failures": new.failures,
            "new_reason": new.reason,
        }
        for name, new in sorted(statuses.items())
        if before[name][1:] != (new.keys, new.failures, new.reason)
    ]
    if changes:
        connection.execute(_CHANGE, changes)


@lru_cache(_TEXTS_REMEMBERED)
def _parsed(keys: str) -> tuple[str, ...]:
    try:
        return tuple(json.loads(keys))
    except (TypeError, ValueError):
        log.warning("the stored keys of a meter can't be read: its next reading restores them")
        return ()


@cache
def _ledgers() -> TypeAdapter[Ledger]:
    """Return the adapter that reads and writes ledgers; building it takes 8 ms."""
    return TypeAdapter(Ledger)


def to_state(ledger: Ledger) -> Any:  # noqa: ANN401 - JSON
    """Convert a ledger to JSON values, without defaults.

    Ten ledgers of a three-phase meter then take four pages of SQLite instead of ten, which are
    rewritten with each reading.
    """
    return _ledgers().dump_python(ledger, mode="json", exclude_defaults=True)


def to_ledger(state: object) -> Ledger:
    """Build a ledger from JSON values. Raises ValidationError."""
    return _ledgers().validate_python(state)


class LedgerReader:
    """Parses the ledgers of many meters; an unchanged ledger is not parsed again."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, Ledger]] = {}

    def ledger(self, meter: str, text: str) -> Ledger:
        """Parse the ledger of a meter from JSON. Raises ValidationError."""
        before, ledger = self._read.get(meter, ("", None))
        if ledger is None or text != before:
            # If it is damaged, none is known: the next one is stored in its place.
            self._read.pop(meter, None)
            ledger = _ledgers().validate_json(text)
            self._read[meter] = text, ledger
        return ledger

    def keep(self, meter: str, state: object, ledger: Ledger) -> None:
        """Remember a ledger that was written as `state`, so that it need not be read.

        Comparing its moments with those of the next one takes a third of the time, too: those
        from JSON have another time zone object.
        """
        self._read[meter] = json.dumps(state), ledger

    def holds(self, meter: str, ledger: Ledger) -> bool:
        """Return whether a ledger equals the last one read or written."""
        _, before = self._read.get(meter, ("", None))
        return before is not None and not ledger.differs(before)

    def forget(self, names: Iterable[str]) -> None:
        """Forget the ledgers of meters whose data were removed."""
        for name in names:
            self._read.pop(name, None)


# As text: it is usually the one read before.
_LEDGERS = (
    select(meter.c.name, cast(ledger.c.state, Text).label("state"))
    .join_from(ledger, meter)
    .where(meter.c.name.in_(bindparam("names", expanding=True)))
)


def read_ledgers(
    connection: Connection, names: Collection[str], reader: LedgerReader
) -> dict[str, Ledger]:
    """Return the ledgers of these meters, by name. Raises UnreadableError for a damaged one."""
    return {name: _parse(name, state, reader) for name, state in _ledger_texts(connection, names)}


def write_ledgers(
    connection: Connection,
    readings: Iterable[Reading],
    ids: Mapping[str, int],
    reader: LedgerReader,
) -> None:
    """Store the newest ledger of each meter where it differs from the stored one."""
    # Ledgers from two threads may arrive in either order.
    in_order = sorted(readings, key=lambda taken: taken.measured_at)
    latest = {taken.meter: taken.ledger for taken in in_order if taken.ledger}
    newest = {name: new for name, new in latest.items() if not reader.holds(name, new)}
    if not newest:
        return
    for name, state in _ledger_texts(connection, newest):
        if not _replaces(newest[name], name, state, reader):
            del newest[name]
    states = {name: to_state(new) for name, new in sorted(newest.items())}
    if states:
        write = insert_or_update(connection.dialect.name, ledger, ("state",))
        direct.insert(connection, write, [(ids[name], state) for name, state in states.items()])
    for name, state in states.items():
        reader.keep(name, state, newest[name])


def _ledger_texts(connection: Connection, names: Collection[str]) -> Sequence[Sequence[str]]:
    return direct.select_by_names(connection, _LEDGERS, names)


def _replaces(new: Ledger, name: str, state: str, reader: LedgerReader) -> bool:
    try:
        stored = reader.ledger(name, state)
    except ValidationError:
        return True  # readings must not wait forever because of it
    return new.differs(stored) and new.follows(stored)


def _parse(name: str, state: str, reader: LedgerReader) -> Ledger:
    try:
        return reader.ledger(name, state)
    except ValidationError as error:
        raise UnreadableError(
            name,
            f"the stored counters of {name} can't be read "
            f"({error.error_count()} faults): restore a backup",
        ) from None
