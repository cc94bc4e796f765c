"""Invented rows to draw, and what is found in a picture."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from esquirell.domain.periods import Calendar, Period
from esquirell.plots.figure import Figure
from esquirell.plots.gather import Choice, figures, likely
from esquirell.services.history import Columns, Found, Row

WARSAW = "Europe/Warsaw"
CALENDAR = Calendar(WARSAW)


def local(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(WARSAW)).astimezone(UTC)  # type: ignore[arg-type,misc] # year, month, …


def energies(
    period: Period,
    span: tuple[datetime, datetime],
    meters: Sequence[str] = ("main",),
    keys: Sequence[str] = ("energy_import",),
    *,
    missing: Sequence[int] = (),
    estimated: Sequence[int] = (),
) -> Found:
    """The first period of each meter has 1 kWh, the second 2, and so on."""

    def rows() -> Iterator[Row]:
        start, number = CALENDAR.floor(span[0], period), 0
        while start < span[1]:
            if number not in missing:
                for meter in meters:
                    values = dict.fromkeys(keys, number + 1.0)
                    yield Row(meter, start, values, number in estimated)
            start, number = CALENDAR.after(start, period), number + 1

    columns = Columns(dict.fromkeys(meters, keys), keys, period)
    return Found(columns, (CALENDAR.floor(span[0], period), span[1]), rows())


def powers(
    span: tuple[datetime, datetime],
    values: Sequence[tuple[datetime, float]],
    meters: Sequence[str] = ("main",),
    key: str = "active_power",
) -> Found:
    """Readings of one quantity."""
    columns = Columns(dict.fromkeys(meters, (key,)), (key,), "raw")
    rows = (Row(meter, at, {key: value}) for at, value in values for meter in meters)
    return Found(columns, span, rows)


def figure(found: Found, *, steps: int = 960, upstream: dict[str, str] | None = None) -> Figure:
    def name(meter: str, key: str) -> str:
        return meter if found.columns.several else key

    choice = Choice(likely(found.columns), name, upstream or {})
    (only,) = figures(found, choice, CALENDAR, steps)
    return only


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - drawn by the code under test


def by_class(picture: str, kind: str) -> list[ET.Element]:
    return [one for one in parsed(picture).iter() if f"p-{kind}" in one.get("class", "").split()]


def texts(picture: str, kind: str) -> list[str]:
    return [one.text or "" for one in by_class(picture, kind)]


def middles(picture: str, kind: str = "bar") -> list[float]:
    """The middles of rectangles, from left to right."""
    return sorted(
        float(one.get("x", 0)) + float(one.get("width", 0)) / 2 for one in by_class(picture, kind)
    )


def points(path: ET.Element) -> list[tuple[float, float]]:
    found = re.findall(r"([\d.]+) ([\d.]+)", path.get("d", ""))
    return [(float(x), float(y)) for x, y in found]
