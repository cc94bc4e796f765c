"""The tables as this version uses them; migrations/ has their history."""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    column,
    false,
)
from sqlalchemy import table as table_clause
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from esquirell.domain.quantity import PHASES
from esquirell.domain.statistic import PEAK_DEMAND, names_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware time in UTC, kept to the millisecond, as it is published."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Truncate a time to milliseconds. Raises TypeError for one without a time zone."""
        if value is None:
            return None
        milliseconds = (value - _EPOCH) // _MILLISECOND
        return _moment(milliseconds) if dialect.name == "postgresql" else milliseconds

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        del dialect  # the value's type is enough
        if isinstance(value, int):
            return _moment(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_PER_PHASE = (
    "voltage",
    "current",
    "active_power",
    "reactive_power",
    "apparent_power",
    "power_factor",
    "energy_import",
    "energy_export",
)
_TOTALS_ONLY = (
    "frequency",
    "temperature",
    "leakage_current",
    "energy_charged",
    "energy_discharged",
    "energy_generated",
    "state_of_charge",
)

# The keys with their own columns. All others go to the column `extra`: those of single channels and
# PV inputs, and those of later quantities, for which the table need not change.
QUANTITY_COLUMNS = (
    *(f"{name}{suffix}" for name in _PER_PHASE for suffix in ("", *(f"_{p}" for p in PHASES))),
    *_TOTALS_ONLY,
)

STATISTIC_COLUMNS = (*(name for key in QUANTITY_COLUMNS for name in names_of(key)), PEAK_DEMAND)


def _json() -> JSON:
    return JSON(none_as_null=True)


meter = Table(
    "meter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("keys", _json(), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("reason", Text),
)

# One wide row per reading, in the order of its key: one row per value would cost an index page per
# value and commit, about thirty times the bytes written to an SD card. `holds_s` is how long the
# values hold if no reading follows, `begins` has the keys whose sums start again here, `ranges` the
# least and greatest of the reports since the previous reading that are not stored.
reading = Table(
    "reading",
    metadata,
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("measured_at", Instant, primary_key=True),
    *(Column(key, Float) for key in QUANTITY_COLUMNS),
    Column("extra", _json()),
    Column("holds_s", Integer),
    Column("begins", _json()),
    Column("ranges", _json()),
    sqlite_with_rowid=False,
)

# One wide row per hour, day and month, with columns named as they are shown, so that people can
# query them. `counters` are those at the end of an hour, where the next one continues; `seconds`
# is how long its values were known; `estimated` marks energy spread over a gap.
statistic = Table(
    "statistic",
    metadata,
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("resolution", Text, primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("local_start", Text, nullable=False),
    Column("readings", Integer, nullable=False),
    Column("hours", Integer, nullable=False),
    *(Column(name, Float) for name in STATISTIC_COLUMNS),
    Column("extra", _json()),
    Column("counters", _json()),
    Column("seconds", Float),
    Column("estimated", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)

# How far each meter's statistics are computed, and its readings pruned.
rollup = Table(
    "rollup",
    metadata,
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("done_to", Instant, nullable=False),
    Column("zone", Text, nullable=False),
    Column("pruned_to", Instant),
)

# What must be remembered about a meter between its readings: counters, offsets, doubts.
ledger = Table(
    "ledger",
    metadata,
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("state", _json(), nullable=False),
)

# Originals of removed and moved readings, and of counters whose offset was forgotten, for undoing.
correction = Table(
    "correction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("meter_id", Integer, ForeignKey("meter.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("what", Text, nullable=False),
    Column("shift_ms", BigInteger),
)
corrected = Table(
    "corrected",
    metadata,
    Column(
        "correction_id", Integer, ForeignKey("correction.id"), primary_key=True, autoincrement=False
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("body", _json(), nullable=False),
    sqlite_with_rowid=False,
)

# Prices of a kWh from a moment on, in the currency of their tariff; null leaves it to the tariff.
price = Table(
    "price",
    metadata,
    Column("tariff", Text, primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("bought", Float),
    Column("sold", Float),
    sqlite_with_rowid=False,
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("base", _json()),
    Column("overrides", _json(), nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("last_run_at", Instant),
    Column("last_result", Text),
)

# `transaction_key` finds a repeated command: it is unique within its few minutes only.
command_log = Table(
    "command_log",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("source", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("request", _json(), nullable=False),
    Column("transaction_key", Text),
    Column("reply", _json()),
    Column("waits", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended_at", Instant),
    Column("answer", _json()),
    Index(None, "at"),
    Index(None, "transaction_key"),
    Index(None, "waits"),
    Index(None, "status"),
)

# Steps of backfills into Home Assistant's statistics: kept before they are done, to be undone.
backfill = Table(
    "backfill",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("meter", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("undone", Boolean, nullable=False, default=False),
    Column("undo_from", Float),
    Column("step", _json(), nullable=False),
    Index(None, "undone"),
)


if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert


# Built once: that takes longer than running them.
@cache
def insert_new(dialect: str, table: Table) -> "Insert":
    """Return an INSERT that leaves rows whose key exists as they are."""
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def insert_or_update(dialect: str, table: Table, columns: tuple[str, ...]) -> "Insert":
    """Return an INSERT that changes only `columns` of a row whose primary key exists."""
    # `Insert.excluded` would copy every column of the table.
    proposed = table_clause("excluded", *map(column, columns))
    changes = {name: proposed.c[name] for name in columns}
    return _insert(dialect, table).on_conflict_do_update(
        index_elements=list(table.primary_key), set_=changes
    )


def _insert(dialect: str, table: Table) -> "Insert":
    # Imported on use: the dialect that is not needed costs start time and memory.
    insert: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return insert
