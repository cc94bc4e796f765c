"""The sections of the history page: a chart, its table, a year ago; and the costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from esquirell.domain.periods import Calendar
from esquirell.domain.record import record
from esquirell.plots.axes import Periods
from esquirell.plots.figure import Figure, Point, Series
from esquirell.runtime.storage import Storage
from esquirell.services.costs import CostPeriod, CostQuery, CostRow
from esquirell.services.csv_rows import cost_lines
from esquirell.services.history import View
from esquirell.web.formats import Formats, currency_sign
from esquirell.web.pictures import words_of
from esquirell.web.selection import RecordedMeters, Selection
from esquirell.web.spans import Span
from esquirell.web.tables import Table, by_meter, by_period, of_costs
from esquirell.web.texts import Texts

# More grey curves of the year before would only confuse.
_MOST_TWINS = 2

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


class Sections:
    """Reads what a selection asks for; waits for the database."""

    def __init__(
        self, storage: Storage, recorded: RecordedMeters, selection: Selection, texts: Texts
    ) -> None:
        self.storage = storage
        self.recorded = recorded
        self.selection = selection
        self.texts = texts

    @cached_property
    def calendar(self) -> Calendar:
        return self.storage.calendar

    @cached_property
    def formats(self) -> Formats:
        return Formats(self.texts, self.calendar.zone)

    @property
    def before(self) -> str:
        return self.texts("history.year_before")

    def beside(
        self, title: str, now: Figure, before: Figure | None, note: str = ""
    ) -> Iterator[Section]:
        """Show a chart and that of a year ago: in one, or below each other if it is too much."""
        if before is None:
            yield Section(title, now, self.table(now), note)
        elif len(now.series) <= _MOST_TWINS:
            twins = [
                replace(series, name=f"{series.name}, {self.before}", colour=-1)
                for series in before.series
            ]
            both = [*now.series, *twins] if now.kind == "bars" else [*twins, *now.series]
            drawn = replace(now, series=both)
            yield Section(
                title, drawn, self.table(replace(now, series=[*now.series, *twins])), note
            )
        else:
            yield Section(title, now, self.table(now), note)
            yield Section(f"{title}, {self.before}", before, self.table(before))

    def table(self, figure: Figure) -> Table | None:
        words = words_of(self.texts)
        return by_period(figure, words, self.texts, self.formats) or by_meter(
            figure, self.texts, self.formats, self.recorded.title
        )


class CostHistory(Sections):
    """What the energy of the chosen meters has cost."""

    def sections(self) -> Iterator[Section]:
        """Return the costs by currency. Raises UnavailableError, ConfigError."""
        billed = self._billed()
        if not billed:
            return
        now = self._cost_figures(billed, self.selection.span)
        before = (
            self._cost_figures(billed, self.selection.span.year_before)
            if self.selection.compare
            else {}
        )
        for currency, (figure, rows) in now.items():
            lacking = sum(float(row.cost.unpriced) for row in rows)
            note = self.texts("history.unpriced", energy=self.formats.energy(lacking))
            title = self.texts("history.cost_in", currency=currency_sign(currency))
            twin = before[currency][0] if currency in before else None
            for part in self.beside(title, figure, twin, note if lacking else ""):
                alone = len(figure.series) == 1 and twin is None
                yield replace(part, table=self._cost_table(rows, figure)) if alone else part

    def _cost_table(self, rows: Sequence[CostRow], figure: Figure) -> Table | None:
        axis, words = figure.axis, words_of(self.texts)
        if not isinstance(axis, Periods):
            return None
        return of_costs(rows, axis, words, self.texts, self.formats)

    def _cost_figures(
        self, meters: Sequence[str], span: Span
    ) -> dict[str, tuple[Figure, list[CostRow]]]:
        """Return the costs by currency, as a chart and as computed rows."""
        moments = span.moments(self.calendar.zone)
        self.storage.fresh_statistics.ensure(meters)
        period = _COST_PERIODS[self.selection.view]
        rows = list(self.storage.costs.read(CostQuery(*moments, period, meters)))
        if span.length == "all" and rows:
            moments = (min(row.cost.start for row in rows), moments[1])
        axis = Periods(moments, period, self.calendar)
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
            Series(self.recorded.title(name), number, meter=name)
            for number, name in enumerate(names)
        ]
        for row in rows:
            number = axis.number(row.cost.start)
            if number is not None:
                total = float(row.cost.total)
                points = series[names.index(row.meter)].points
                points[number] = Point(total, total, total)
        return Figure(self.texts("history.cost"), currency_sign(currency), 2, "bars", axis, series)

    def csv(self) -> Iterator[str]:
        """Yield the costs as CSV lines. Raises UnavailableError, ConfigError."""
        billed = self._billed()
        if not billed:
            return
        self.storage.fresh_statistics.ensure(billed)
        period = _COST_PERIODS[self.selection.view]
        span = self.selection.span.moments(self.calendar.zone)
        rows = self.storage.costs.read(CostQuery(*span, period, billed))
        yield from cost_lines(rows, self.calendar, period)

    def _billed(self) -> list[str]:
        costs = self.storage.costs
        return [name for name in self.selection.meters if costs.tariff_of(name)]
