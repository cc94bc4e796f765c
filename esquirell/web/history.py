"""The history page: charts, tables with sums, and the share that submeters don't explain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain

from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import QUANTITIES, total_of
from esquirell.domain.record import record
from esquirell.domain.statistic import is_energy
from esquirell.plots.axes import Frame, Periods
from esquirell.plots.figure import Figure, Point, Series
from esquirell.plots.gather import Choice, Naming, figures
from esquirell.runtime.storage import Storage
from esquirell.services.costs import CostPeriod, CostQuery, CostRow
from esquirell.services.csv_rows import cost_lines, csv_lines
from esquirell.services.history import Found, Query, Row, View
from esquirell.web.formats import Formats, currency_sign
from esquirell.web.pictures import words_of
from esquirell.web.selection import COST, ENERGY, POWER, RecordedMeters, Selection
from esquirell.web.spans import Span
from esquirell.web.tables import Table, by_meter, by_period, of_costs, shares
from esquirell.web.texts import Texts

# Points across a chart, about one per pixel.
STEPS = 840
# More grey curves of the year before would only confuse.
_MOST_TWINS = 2
_ENERGIES = tuple(key for key in QUANTITIES if is_energy(key))
_FINE = {"quarter", "hour"}
_SLIVER = timedelta(hours=6)
_LEAST = timedelta(milliseconds=1)
_COST_PERIODS: Mapping[View, CostPeriod] = {
    "raw": "hour",
    "quarter": "hour",
    "hour": "hour",
    "day": "day",
    "month": "month",
    "year": "year",
}


@record
class Section:
    """A section of the page: a title, a chart, its table, and a note."""

    title: str
    figure: Figure
    table: Table | None = None
    note: str = ""


class HistoryView:
    """Reads what a selection asks for; waits for the database."""

    def __init__(
        self, storage: Storage, recorded: RecordedMeters, selection: Selection, texts: Texts
    ) -> None:
        self._storage = storage
        self._recorded = recorded
        self._selection = selection
        self._texts = texts

    def sections(self) -> list[Section]:
        """Return what there is to show. Raises UnavailableError, ConfigError."""
        if self._selection.show == COST:
            return list(self._costs())
        if self._selection.show == ENERGY:
            return [*self._energies(), *self._explained()]
        return list(self._curves())

    def csv(self) -> Iterator[str]:
        """Yield the same data as CSV lines. Raises UnavailableError, ConfigError."""
        chosen = self._selection
        if chosen.show == COST:
            yield from self._cost_lines()
            return
        quantity = "active_power" if chosen.show == POWER else chosen.show
        shown = _ENERGIES if chosen.show == ENERGY else (quantity,)
        keys = [
            key for name in chosen.meters for one in shown for key in self._recorded.keys(name, one)
        ]
        # A query without keys would return all of them.
        if keys:
            found = self._read(keys, chosen.span, chosen.meters)
            yield from csv_lines(found.rows, found.columns, self._calendar)

    def _cost_lines(self) -> Iterator[str]:
        billed = self._billed()
        if not billed:
            return
        self._storage.fresh_statistics.ensure(billed)
        period = _COST_PERIODS[self._selection.view]
        span = self._selection.span.moments(self._calendar.zone)
        rows = self._storage.costs.read(CostQuery(*span, period, billed))
        yield from cost_lines(rows, self._calendar, period)

    def _billed(self) -> list[str]:
        costs = self._storage.costs
        return [name for name in self._selection.meters if costs.tariff_of(name)]

    @cached_property
    def _calendar(self) -> Calendar:
        return self._storage.calendar

    @cached_property
    def _formats(self) -> Formats:
        return Formats(self._texts, self._calendar.zone)

    @property
    def _before(self) -> str:
        return self._texts("history.year_before")

    # Energy.

    def _energies(self) -> Iterator[Section]:
        chosen = self._selection
        now = self._energy_figure(chosen.meters, chosen.span)
        title = self._texts("history.energy_by", by=self._texts(f"by.{chosen.view}"))
        yield from self._compared(title, now, lambda span: self._energy_figure(chosen.meters, span))

    def _energy_figure(self, meters: Sequence[str], span: Span) -> Figure:
        keys_of = {
            name: [key for key in _ENERGIES if self._recorded.keys(name, key)] for name in meters
        }
        keys = [key for name in meters for key in self._parts_of(name)]
        if not keys:
            return self._nothing(span, "kWh")
        found = self._read(keys, span, meters)
        rows = (replace(row, values=_totals(row.values)) for row in found.rows)
        found = _from_first(replace(found, rows=rows), span)
        choice = Choice(keys_of, self._name(keys_of), self._recorded.upstream)
        drawn = figures(found, choice, self._calendar, STEPS)
        return replace(drawn[0], decimals=3 if self._selection.view in _FINE else 2)

    def _parts_of(self, meter: str) -> list[str]:
        return [key for energy in _ENERGIES for key in self._recorded.keys(meter, energy)]

    def _explained(self) -> Iterator[Section]:
        """Show which share of each chosen meter its submeters measured, and which they did not."""
        for name in self._selection.meters:
            below = self._recorded.below(name)
            if not below:
                continue
            whole = self._import_figure([name, *below])
            parts = whole.parts(words_of(self._texts))
            if not whole.series[0].points:
                continue
            # The explained part first, the rest on top.
            shown = replace(parts, series=[*parts.series[1:], parts.series[0]])
            title = self._texts("history.explained", meter=self._recorded.title(name))
            exports = bool(self._recorded.keys(name, "energy_export"))
            table = shares(whole, self._texts, self._formats, exports=exports)
            yield Section(title, shown, table)

    def _import_figure(self, meters: Sequence[str]) -> Figure:
        figure = self._energy_figure(meters, self._selection.span)
        imported = self._texts("quantity.energy_import")
        series = []
        for number, name in enumerate(meters):
            mine = [one for one in figure.series if one.meter == name and not one.down]
            points = mine[0].points if mine else {}
            above = self._recorded.upstream.get(name, "")
            title = self._recorded.title(name)
            series.append(Series(title, number - 1, points, meter=name, below=above))
        return replace(figure, title=imported, series=series)

    # Power and all other quantities with minimum, mean and maximum.

    def _curves(self) -> Iterator[Section]:
        chosen = self._selection
        quantity = "active_power" if chosen.show == POWER else chosen.show
        now = self._curve_figure(quantity, chosen.span)
        title = self._texts(f"quantity.{quantity}")
        yield from self._compared(title, now, lambda span: self._curve_figure(quantity, span))

    def _curve_figure(self, quantity: str, span: Span) -> Figure:
        meters = self._selection.meters
        keys_of = {name: self._recorded.keys(name, quantity) for name in meters}
        keys = [key for keys in keys_of.values() for key in keys]
        if not keys:
            return self._nothing(span, QUANTITIES[quantity].unit)
        found = _from_first(self._read(keys, span, meters), span)
        if span.length == "day" and not self._selection.compare and found.columns.view == "raw":
            found = _around_what_there_is(found, self._calendar, self._storage.clock())
        return figures(found, Choice(keys_of, self._name(keys_of)), self._calendar, STEPS)[0]

    # Costs.

    def _costs(self) -> Iterator[Section]:
        billed = self._billed()
        if not billed:
            return
        now = self._cost_figures(billed, self._selection.span)
        before = (
            self._cost_figures(billed, self._selection.span.year_before)
            if self._selection.compare
            else {}
        )
        for currency, (figure, rows) in now.items():
            lacking = sum(float(row.cost.unpriced) for row in rows)
            note = self._texts("history.unpriced", energy=self._formats.energy(lacking))
            title = self._texts("history.cost_in", currency=currency_sign(currency))
            twin = before[currency][0] if currency in before else None
            for part in self._beside(title, figure, twin, note if lacking else ""):
                alone = len(figure.series) == 1 and twin is None
                yield replace(part, table=self._cost_table(rows, figure)) if alone else part

    def _cost_table(self, rows: Sequence[CostRow], figure: Figure) -> Table | None:
        axis, words = figure.axis, words_of(self._texts)
        if not isinstance(axis, Periods):
            return None
        return of_costs(rows, axis, words, self._texts, self._formats)

    def _cost_figures(
        self, meters: Sequence[str], span: Span
    ) -> dict[str, tuple[Figure, list[CostRow]]]:
        """Return the costs by currency, as a chart and as computed rows."""
        moments = span.moments(self._calendar.zone)
        self._storage.fresh_statistics.ensure(meters)
        period = _COST_PERIODS[self._selection.view]
        rows = list(self._storage.costs.read(CostQuery(*moments, period, meters)))
        if span.length == "all" and rows:
            moments = (min(row.cost.start for row in rows), moments[1])
        axis = Periods(moments, period, self._calendar)
        by_currency: dict[str, list[CostRow]] = {}
        for row in rows:
            by_currency.setdefault(row.tariff.currency, []).append(row)
        return {
            currency: (self._cost_figure(found, axis, currency), found)
            for currency, found in by_currency.items()
        }

    def _cost_figure(self, rows: Sequence[CostRow], axis: Periods, currency: str) -> Figure:
        names = list(dict.fromkeys(row.meter for row in rows))
        series = [
            Series(self._recorded.title(name), number, meter=name)
            for number, name in enumerate(names)
        ]
        for row in rows:
            number = axis.number(row.cost.start)
            if number is not None:
                total = float(row.cost.total)
                points = series[names.index(row.meter)].points
                points[number] = Point(total, total, total)
        return Figure(self._texts("history.cost"), currency_sign(currency), 2, "bars", axis, series)

    # Shared by all sections.

    def _compared(
        self, title: str, now: Figure, look: Callable[[Span], Figure]
    ) -> Iterator[Section]:
        before = look(self._selection.span.year_before) if self._selection.compare else None
        estimated = now.is_estimated or (before is not None and before.is_estimated)
        note = self._texts("history.estimated_note") if estimated else ""
        yield from self._beside(title, now, before, note)

    def _beside(
        self, title: str, now: Figure, before: Figure | None, note: str = ""
    ) -> Iterator[Section]:
        """Show a chart and that of a year ago: in one, or below each other if it is too much."""
        if before is None:
            yield Section(title, now, self._table(now), note)
        elif len(now.series) <= _MOST_TWINS:
            twins = [
                replace(one, name=f"{one.name}, {self._before}", colour=-1) for one in before.series
            ]
            both = [*now.series, *twins] if now.kind == "bars" else [*twins, *now.series]
            drawn = replace(now, series=both)
            yield Section(
                title, drawn, self._table(replace(now, series=[*now.series, *twins])), note
            )
        else:
            yield Section(title, now, self._table(now), note)
            yield Section(f"{title}, {self._before}", before, self._table(before))

    def _table(self, figure: Figure) -> Table | None:
        words = words_of(self._texts)
        return by_period(figure, words, self._texts, self._formats) or by_meter(
            figure, self._texts, self._formats, self._recorded.title
        )

    def _read(self, keys: Sequence[str], span: Span, meters: Sequence[str]) -> Found:
        query = Query(
            *span.moments(self._calendar.zone),
            self._selection.view,
            meters,
            list(dict.fromkeys(keys)),
            self._recorded.names,
        )
        return self._storage.history.read(query)

    def _name(self, keys_of: Mapping[str, Sequence[str]]) -> Naming:
        """Return how to name series: by what distinguishes them."""
        several_keys = len({key for keys in keys_of.values() for key in keys}) > 1

        def name(meter: str, key: str) -> str:
            if len(keys_of) == 1:
                return self._formats.label(key)
            title = self._recorded.title(meter)
            return f"{title}, {self._formats.label(key)}" if several_keys else title

        return name

    def _nothing(self, span: Span, unit: str) -> Figure:
        """Return an empty chart for a span without measurements."""
        axis = Frame(span.moments(self._calendar.zone), STEPS, self._calendar.zone)
        return Figure("", unit, 0, "lines", axis, [])


def _totals(values: Mapping[str, float]) -> dict[str, float]:
    """Return the energies of the whole device."""
    found = {key: total_of(values, key) for key in _ENERGIES}
    return {key: value for key, value in found.items() if value is not None}


def _from_first(found: Found, span: Span) -> Found:
    """Begin at the first row if all history is asked for."""
    if span.length != "all":
        return found
    rows: list[Row] = list(found.rows)
    begin = min((row.at for row in rows), default=found.span[1])
    return Found(found.columns, (begin, found.span[1]), iter(rows))


def _around_what_there_is(found: Found, calendar: Calendar, now: datetime) -> Found:
    """Leave out the hours that can't have data, if that is most of a day.

    On the day when a meter is added, its curve would otherwise be a sliver.
    """
    first = next(found.rows, None)
    if first is None:
        return replace(found, rows=iter(()))
    end = min(found.span[1], max(first.at, now))
    if end - first.at < _SLIVER:
        last_hour = calendar.floor(end - _LEAST, "hour")
        span = calendar.floor(first.at, "hour"), calendar.after(last_hour, "hour")
        found = replace(found, span=span)
    return replace(found, rows=chain([first], found.rows))
