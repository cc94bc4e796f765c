"""Building figures from rows: which series there are, and their value in each step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

from esquirell.domain.periods import Calendar
from esquirell.domain.record import record
from esquirell.domain.statistic import EXTREMES, is_energy, quantity_of
from esquirell.domain.submeters import Upstream, above
from esquirell.plots.axes import Axis, Frame, Periods
from esquirell.plots.figure import Figure, Point, Series
from esquirell.services.history import Columns, Found, Row

# By meter and quantity key, the name of a series.
Naming = Callable[[str, str], str]

# This many bars fit side by side; beyond that a curve shows more.
MOST_BARS = 420
_ADDITIVE = {"energy", "power", "reactive_power", "apparent_power", "monetary"}
_FROM_ZERO = {*_ADDITIVE, "current", "battery"}


def likely(columns: Columns) -> dict[str, list[str]]:
    """Return each meter's keys to draw: the requested ones, else energy, else power."""
    return {meter: _likely(names, columns) for meter, names in columns.of.items()}


def _likely(names: Sequence[str], columns: Columns) -> list[str]:
    keys = list(dict.fromkeys(_plain(name) for name in names))
    if columns.wanted is not None:
        return keys
    wanted = ("active_power",) if columns.view == "raw" else ("energy_import", "energy_export")
    total = [key for key in keys if key in wanted]
    return total or [key for key in keys if quantity_of(key).key in wanted]


@record
class Choice:
    """What to draw: the quantity keys of each meter, and the name of each series.

    `upstream` is the meter above each submeter, which measures the same energy.
    """

    keys_of: Mapping[str, Sequence[str]]
    name: Naming
    upstream: Upstream = field(default_factory=dict)

    @property
    def places(self) -> list[tuple[str, str]]:
        """The meters and quantity keys, one by one."""
        return [(meter, key) for meter, keys in self.keys_of.items() for key in keys]


def figures(found: Found, choice: Choice, calendar: Calendar, steps: int) -> list[Figure]:
    """Build one figure per unit from the rows.

    `steps` is how many there is room for in a curve. The rows are consumed, and none is kept.
    """
    columns, places = found.columns, choice.places
    axis = axis_of(found, calendar, steps)
    series = {place: _series(number, places, choice) for number, place in enumerate(places)}
    _gather(found.rows, series, axis, columns)
    units: dict[str, list[tuple[str, str]]] = {}
    for place in places:
        units.setdefault(quantity_of(place[1]).unit, []).append(place)
    return [_figure(alike, series, axis, columns) for alike in units.values()]


def axis_of(found: Found, calendar: Calendar, steps: int) -> Axis:
    """Return the axis: the periods, or equal steps if there are too many."""
    if found.columns.view != "raw":
        axis = Periods(found.span, found.columns.view, calendar)
        if axis.count <= MOST_BARS:
            return axis
    return Frame(found.span, steps, calendar.zone)


def _figure(
    places: Sequence[tuple[str, str]],
    series: Mapping[tuple[str, str], Series],
    axis: Axis,
    columns: Columns,
) -> Figure:
    kinds = {quantity_of(key).key: quantity_of(key) for _, key in places}
    first = next(iter(kinds.values()))
    bars = isinstance(axis, Periods) and all(is_energy(key) for _, key in places)
    return Figure(
        ", ".join(kind.label for kind in kinds.values()),
        first.unit,
        first.precision,
        "bars" if bars and columns.view != "raw" else "lines",
        axis,
        [series[place] for place in places],
        from_zero=first.device_class in _FROM_ZERO and not _is_counter(first.key, columns),
        additive=first.device_class in _ADDITIVE,
    )


def _is_counter(key: str, columns: Columns) -> bool:
    """Whether readings of a counter are drawn, and not what it counted in periods."""
    return columns.view == "raw" and is_energy(key)


def _series(number: int, places: Sequence[tuple[str, str]], choice: Choice) -> Series:
    """Return an empty series; exports go below zero.

    Of several meters it then has the colour of its import.
    """
    meter, key = places[number]
    heads = [place for place in places if _twin(place) not in places]
    twin = _twin((meter, key))
    down = twin in places
    colour = number
    if len(choice.keys_of) > 1:
        colour = heads.index(twin if down and twin in heads else (meter, key))
    inside = above(meter, choice.upstream)
    return Series(choice.name(meter, key), colour, down=down, meter=meter, above=inside, key=key)


def _twin(place: tuple[str, str]) -> tuple[str, str] | None:
    """Return the import that an export belongs to."""
    meter, key = place
    return (meter, key.replace("_export", "_import")) if "_export" in key else None


def _gather(
    rows: Iterable[Row],
    series: Mapping[tuple[str, str], Series],
    axis: Axis,
    columns: Columns,
) -> None:
    of: dict[str, list[tuple[Series, str, bool]]] = {}
    for (meter, key), line in series.items():
        of.setdefault(meter, []).append((line, key, columns.view == "raw" or _is_single(key)))
    for row in rows:
        number = axis.number(row.at)
        if number is None:
            continue
        for line, key, single in of.get(row.meter, ()):
            point = _point(row, key, single=single)
            if point is None:
                continue
            if before := line.points.get(number):
                before.add(point)
            else:
                line.points[number] = point


def _is_single(key: str) -> bool:
    """Whether a period has one value of a key, not three."""
    return is_energy(key) or not quantity_of(key).state_class or key == "peak_demand"


def _point(row: Row, key: str, *, single: bool) -> Point | None:
    if single:
        value = row.values.get(key)
        return None if value is None else Point(value, value, value, estimated=row.estimated)
    figures = [row.values.get(f"{key}_{part}") for part in EXTREMES]
    low, mean, high = figures
    if low is None or mean is None or high is None:
        return None
    return Point(low, mean, high)


def _plain(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if tail in EXTREMES else name
