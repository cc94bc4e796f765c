"""Live values of open pages: a text, a path or a moment, by the name of its place."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from esquirell.web.curves import sparkline, zero_line
from esquirell.web.formats import Formats
from esquirell.web.json_text import fingerprint
from esquirell.web.overview import House, MeterSnapshot
from esquirell.web.problems import kinds_of
from esquirell.web.texts import Texts
from esquirell.web.today import Today

# What was shown of each meter, by name, with the snapshot that it was made from.
Remembered = dict[str, tuple[MeterSnapshot, dict[str, Any]]]


def of_house(
    house: House, texts: Texts, formats: Formats, remembered: Remembered | None = None
) -> dict[str, Any]:
    """Return the values of the first page by place: `main.power`, `main.curve`, `total:power`.

    Remembered values are reused for meters whose snapshot is unchanged.
    """
    remembered = {} if remembered is None else remembered
    shown = {
        # Names of meters contain no colon.
        "total:power": formats.power(house.power),
        "total:note": note_of(house, texts),
        "total:curve": sparkline(house.curve),
        "total:zero": zero_line(house.curve),
        **{f"total:{name}": text for name, text in _day(house.today, formats)},
    }
    for area, meters in house.by_area():
        shown[f"area:{area}"] = _sum_of(replace(house, meters=tuple(meters)), texts, formats)
    for snapshot in house.meters:
        known, places = remembered.get(snapshot.meter.name, (None, {}))
        if known is not snapshot:
            places = dict(_of(snapshot, formats))
            remembered[snapshot.meter.name] = (snapshot, places)
        shown |= places
    return shown | {"page:shape": shape_of(house)}


def of_meter(snapshot: MeterSnapshot, keys: Sequence[str], formats: Formats) -> dict[str, Any]:
    """Return the values of a meter's page by place, including each quantity: `main:voltage_a`."""
    name, values = snapshot.meter.name, snapshot.reading.values if snapshot.reading else {}
    shown = dict(_of(snapshot, formats))
    shown |= {f"{name}:{key}": formats.plain(key, values.get(key)) for key in keys}
    parts = (snapshot.state, snapshot.status.reason, snapshot.warnings, keys, day_of(snapshot))
    return shown | {"page:shape": fingerprint(parts)}


def shape_of(house: House) -> str:
    """Return a text that differs if the page must be reloaded.

    For example when a meter was added, or when the day's energy has become known. Another
    number in a problem does not count.
    """
    parts = [
        (snapshot.meter.name, snapshot.meter.title, snapshot.meter.area, day_of(snapshot))
        for snapshot in house.meters
    ]
    problems = kinds_of(house.problems)
    return fingerprint((parts, days_of(house.today), house.trouble, problems))


def _sum_of(part: House, texts: Texts, formats: Formats) -> str:
    """Return the power and today's energy of an area, without counting anything twice."""
    imported = part.today.imported
    sums = [
        "" if part.power is None else formats.power(part.power),
        "" if imported is None else texts("now.area_today", energy=formats.energy(imported)),
    ]
    return " · ".join(filter(None, sums))


def note_of(house: House, texts: Texts) -> str:
    """Return which way the energy flows, and which meters are missing in the sum."""
    if house.power is None:
        return texts("now.unknown")
    notes = [texts("now.feeding_in" if house.power < 0 else "now.drawing")]
    if len(house.counted) > 1:
        notes.append(texts("now.summed", count=len(house.counted)))
    if house.missing:
        notes.append(texts.counted("now.partial", house.missing))
    return " · ".join(notes)


def days_of(today: Today, *, produces: bool = False) -> list[tuple[str, str]]:
    """Return the figures of a day to show, as the suffixes of their places, with their titles."""
    exports = bool(today.exported)
    figures = [
        (not produces, "import", "now.imported" if exports else "now.today"),
        (exports, "export", "now.exported"),
        (today.generated is not None, "generated", "now.generated"),
        (today.cost is not None, "cost", "now.cost"),
    ]
    return [(place, title) for is_shown, place, title in figures if is_shown]


def day_of(snapshot: MeterSnapshot) -> list[tuple[str, str]]:
    """Return the figures of a meter's day to show, as `days_of` does."""
    return days_of(snapshot.today, produces=snapshot.produces)


def _of(snapshot: MeterSnapshot, formats: Formats) -> Iterable[tuple[str, Any]]:
    name = snapshot.meter.name
    yield f"{name}.power", formats.power(snapshot.power)
    yield f"{name}.watts", snapshot.power
    for place, text in _day(snapshot.today, formats):
        yield f"{name}.{place}", text
    yield f"{name}.age", snapshot.read_at.isoformat() if snapshot.read_at else ""
    yield f"{name}.state", snapshot.state
    yield f"{name}.curve", sparkline(snapshot.curve)
    yield f"{name}.zero", zero_line(snapshot.curve)


def _day(today: Today, formats: Formats) -> Iterable[tuple[str, str]]:
    yield "import", formats.energy(today.imported)
    yield "export", formats.energy(today.exported)
    yield "generated", formats.energy(today.generated)
    yield "cost", formats.money(today.cost, today.currency)
