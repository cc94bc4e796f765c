"""Moments in the database: milliseconds on SQLite, a time stamp with zone on PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import TIMESTAMP, BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware moment in UTC, kept to the millisecond, as it is published."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Cut a moment to milliseconds; TypeError for one without a time zone."""
        if value is None:
            return None
        milliseconds = (value - _EPOCH) // _MILLISECOND
        return _moment(milliseconds) if dialect.name == "postgresql" else milliseconds

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        """Return an aware moment in UTC."""
        del dialect  # the value's own type says enough
        if isinstance(value, int):
            return _moment(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
