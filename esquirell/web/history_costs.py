"""The costs of the history page: a chart and a table for each currency, and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from esquirell.domain.submeters import above
from esquirell.plots.axes import Periods
from esquirell.plots.figure import Figure, Point, Series
from esquirell.services.costs import CostPeriod, CostQuery, CostRow, house_total
from esquirell.services.csv_rows import cost_lines
from esquirell.services.history import View
from esquirell.web.formats import currency_sign
from esquirell.web.history_sections import Section, Sections
from esquirell.web.pictures import words_of
from esquirell.web.spans import Span
from esquirell.web.tables import Table, of_costs

_COST_PERIODS: Mapping[View, CostPeriod] = {
    "raw": "hour",
    "quarter": "hour",
    "hour": "hour",
    "day": "day",
    "month": "month",
    "year": "year",
}


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
            lacking = float(house_total(rows, self.recorded.upstream).unpriced)
            note = self.texts("history.unpriced", energy=self.formats.energy(lacking))
            title = self.texts("history.cost_in", currency=currency_sign(currency))
            twin = before[currency][0] if currency in before else None
            for part in self.beside(title, figure, twin, note if lacking else ""):
                yield part if twin else replace(part, table=self._cost_table(figure, rows))

    def _cost_table(self, figure: Figure, rows: Sequence[CostRow]) -> Table | None:
        """Return what the cost of a meter consists of; of several, that of each, and the sum."""
        table, axis = self.table(figure), figure.axis
        if len(figure.series) == 1 and isinstance(axis, Periods):
            return of_costs(rows, axis, words_of(self.texts), self.texts, self.formats)
        if table and table.sums and len(table.columns) == 1:
            whole = house_total(rows, self.recorded.upstream)
            total = self.formats.with_unit(float(whole.total), figure.unit, figure.decimals)
            return replace(table, sums=replace(table.sums, cells=[total]))
        return table

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
            Series(
                self.recorded.title(name),
                number,
                meter=name,
                above=above(name, self.recorded.upstream),
            )
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
        """Return the chosen meters with a tariff; those without give way to their submeters."""
        found = (name for chosen in self.selection.meters for name in self._billed_of(chosen))
        return list(dict.fromkeys(found))

    def _billed_of(self, meter: str) -> Iterator[str]:
        if self.storage.costs.tariff_of(meter):
            yield meter
        else:
            for below in self.recorded.below(meter):
                yield from self._billed_of(below)
