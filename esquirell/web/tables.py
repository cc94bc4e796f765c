"""The tables below charts, with sums."""

from collections.abc import Callable, Mapping, Sequence

from esquirell.domain.cost import Cost, add_up
from esquirell.domain.record import record
from esquirell.plots.axes import Periods
from esquirell.plots.figure import Figure, Series, outermost
from esquirell.plots.words import Words
from esquirell.services.costs import CostRow
from esquirell.web.formats import NOTHING, Formats
from esquirell.web.texts import Texts

# More columns don't fit; more rows are not readable.
_MOST_COLUMNS = 5
_MOST_ROWS = 400
_PARTS = ("min", "mean", "max")


@record
class Line:
    """A row of a table: its title, its cells, and whether it is estimated."""

    title: str
    cells: Sequence[str]
    estimated: bool = False


@record
class Table:
    """A table; the last line holds the sums, and is shown above the chart if it `leads`."""

    heading: str
    columns: Sequence[str]
    lines: Sequence[Line]
    sums: Line | None = None
    leads: bool = False


def by_period(figure: Figure, words: Words, texts: Texts, formats: Formats) -> Table | None:
    """Return a line per period; None if there are too many, or for raw readings."""
    axis = figure.axis
    numbers = sorted({number for series in figure.series for number in series.points})
    if not isinstance(axis, Periods) or not 0 < len(numbers) <= _MOST_ROWS:
        return None
    columns = [column for series in figure.series for column in _columns(series, figure, texts)]
    if len(columns) > _MOST_COLUMNS:
        return None
    lines = [
        Line(
            axis.title(number, words),
            [text for series in figure.series for text in _cells(series, number, figure, formats)],
            any(
                series.points[number].estimated
                for series in figure.series
                if number in series.points
            ),
        )
        for number in numbers
    ]
    sums = [text for series in figure.series for text in _sums(series, figure, formats)]
    title = "history.sum" if figure.kind == "bars" else "history.whole"
    return Table(
        texts(f"by.title.{axis.period}"), columns, lines, Line(texts(title), sums), leads=True
    )


def of_costs(
    rows: Sequence[CostRow], axis: Periods, words: Words, texts: Texts, formats: Formats
) -> Table:
    """Return the cost of each period for one meter, with its components."""
    currency = rows[0].tariff.currency
    columns = [texts(f"cost.{name}") for name in _COSTS]
    lines = [
        Line(axis.title(number, words), _of_cost(row.cost, formats))
        for row in rows
        if (number := axis.number(row.cost.start)) is not None
    ]
    whole = add_up(rows[0].cost.start, (row.cost for row in rows))
    sums = Line(texts("history.sum"), _of_cost(whole, formats, currency))
    heading = texts(f"by.title.{axis.period}")
    return Table(heading, columns, lines, sums, leads=True)


_COSTS = ("imported", "bought", "sold", "fee", "total")


def _of_cost(cost: Cost, formats: Formats, currency: str = "") -> list[str]:
    """Return the cells of a cost, with units if a currency is given."""
    amounts = [float(amount) for amount in (cost.bought, cost.sold, cost.fee, cost.total)]
    energy = float(cost.energy_import)
    if currency:
        return [formats.energy(energy), *(formats.money(amount, currency) for amount in amounts)]
    return [formats.number(amount, 2) for amount in (energy, *amounts)]


def by_meter(
    figure: Figure, texts: Texts, formats: Formats, title: Callable[[str], str]
) -> Table | None:
    """Return a line per meter with its sums, or per curve its minimum, mean and maximum.

    `title` returns the label of a meter.
    """
    shown = [series for series in figure.series if series.points]
    name = texts("history.name")
    if not shown:
        return None
    if figure.kind == "lines":
        lines = [Line(line.name, _range(line, figure, formats)) for line in shown]
        return Table(name, [texts(f"figure.{part}") for part in _PARTS], lines)
    places = {(line.meter, line.key): line for line in shown}
    if len(places) < len(shown):
        # The same of a year ago is next to it.
        return Table(
            name,
            [texts("history.sum")],
            [Line(line.name, _sums(line, figure, formats)) for line in shown],
        )
    return _of_meters(places, figure, texts, formats, title)


def _of_meters(
    places: Mapping[tuple[str, str], Series],
    figure: Figure,
    texts: Texts,
    formats: Formats,
    title: Callable[[str], str],
) -> Table:
    """Return a line per meter and a column per key; submeters are contained in the sum above."""
    meters, keys = (list(dict.fromkeys(parts)) for parts in zip(*places, strict=True))
    columns = [formats.label(key) if key else texts("history.sum") for key in keys]
    lines = []
    for meter in meters:
        own = [places.get((meter, key)) for key in keys]
        cells = [NOTHING if one is None else _number(_total(one), figure, formats) for one in own]
        estimated = any(
            point.estimated for one in own if one is not None for point in one.points.values()
        )
        lines.append(Line(title(meter), cells, estimated))
    added = [
        outermost([one for meter in meters if (one := places.get((meter, key)))]) for key in keys
    ]
    sums = [
        formats.with_unit(sum(map(_total, counted)), figure.unit, figure.decimals)
        if counted
        else NOTHING
        for counted in added
    ]
    units = [f"{column}, {figure.unit}" for column in columns]
    return Table(texts("history.name"), units, lines, Line(texts("history.sum"), sums), leads=True)


def _number(value: float, figure: Figure, formats: Formats) -> str:
    return formats.number(value, figure.decimals)


def shares(figure: Figure, texts: Texts, formats: Formats, *, exports: bool) -> Table | None:
    """Return the share of each series in the first one, and the rest.

    If the first one `exports`, the others can use more than it imports: energy produced on
    the spot.
    """
    whole, parts = _total(figure.series[0]), figure.series[1:]
    if not whole:
        return None
    totals = [(part.name, _total(part)) for part in parts]
    left = whole - sum(total for _, total in totals)
    rest = "own_production" if exports and left < 0 else "not_explained"
    rows = [*sorted(totals, key=lambda total: -total[1]), (texts(f"history.{rest}"), left)]
    lines = [
        Line(name, [_energy(total, figure, formats), _percent(total / whole, formats)])
        for name, total in rows
    ]
    sums = Line(figure.series[0].name, [_energy(whole, figure, formats), _percent(1.0, formats)])
    columns = [texts("history.sum"), texts("history.share")]
    return Table(texts("history.name"), columns, lines, sums)


def _energy(value: float, figure: Figure, formats: Formats) -> str:
    return formats.with_unit(value, figure.unit, 2)


def _percent(share: float, formats: Formats) -> str:
    return formats.with_unit(share * 100, "%", 1)


def _total(one: Series) -> float:
    return sum(point.mean for point in one.points.values())


def _columns(one: Series, figure: Figure, texts: Texts) -> list[str]:
    if figure.kind == "bars":
        return [f"{one.name}, {figure.unit}"]
    if len(figure.series) > 1:
        return [f"{one.name}, {texts('figure.mean')}, {figure.unit}".removesuffix(", ")]
    return [f"{texts(f'figure.{part}')}, {figure.unit}".removesuffix(", ") for part in _PARTS]


def _cells(one: Series, number: int, figure: Figure, formats: Formats) -> list[str]:
    point = one.points.get(number)
    if figure.kind == "bars" or len(figure.series) > 1:
        return [NOTHING if point is None else formats.number(point.mean, figure.decimals)]
    if point is None:
        return [NOTHING] * 3
    values = (point.low, point.mean, point.high)
    return [formats.number(value, figure.decimals) for value in values]


def _sums(one: Series, figure: Figure, formats: Formats) -> list[str]:
    """Return the sums below the columns of a series."""
    if figure.kind == "bars":
        total = _total(one) if one.points else None
        return [formats.with_unit(total, figure.unit, figure.decimals)]
    return (
        _range(one, figure, formats) if len(figure.series) == 1 else [_mean(one, figure, formats)]
    )


def _range(one: Series, figure: Figure, formats: Formats) -> list[str]:
    """Return the minimum, mean and maximum of a series."""
    low = min((point.low for point in one.points.values()), default=None)
    high = max((point.high for point in one.points.values()), default=None)
    ends = [formats.with_unit(value, figure.unit, figure.decimals) for value in (low, high)]
    return [ends[0], _mean(one, figure, formats), ends[1]]


def _mean(one: Series, figure: Figure, formats: Formats) -> str:
    values = [point.mean for point in one.points.values()]
    mean = sum(values) / len(values) if values else None
    return formats.with_unit(mean, figure.unit, figure.decimals)
