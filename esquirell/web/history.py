"""The history page: energy with the share that submeters don't explain, power and the rest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import QUANTITIES, total_of
from esquirell.domain.statistic import is_energy
from esquirell.domain.submeters import above
from esquirell.plots.axes import Frame
from esquirell.plots.figure import Figure, Series
from esquirell.plots.gather import Choice, Naming, figures
from esquirell.services.csv_rows import csv_lines
from esquirell.services.history import Found, Query, Row
from esquirell.web.history_costs import CostHistory
from esquirell.web.history_sections import Section, Sections
from esquirell.web.pictures import words_of
from esquirell.web.selection import COST, ENERGY, POWER
from esquirell.web.spans import Span
from esquirell.web.tables import shares

# Points across a chart, about one per pixel.
STEPS = 840
_ENERGIES = tuple(key for key in QUANTITIES if is_energy(key))
_FINE = {"quarter", "hour"}
_SLIVER = timedelta(hours=6)
_LEAST = timedelta(milliseconds=1)


class HistoryView(Sections):
    """Energy, power and other quantities of the chosen meters, or what the energy has cost."""

    def sections(self) -> list[Section]:
        """Return what there is to show. Raises UnavailableError, ConfigError."""
        if self.selection.show == COST:
            return list(self._costs.sections())
        if self.selection.show == ENERGY:
            return [*self._energies(), *self._explained()]
        return list(self._curves())

    def csv(self) -> Iterator[str]:
        """Yield the same data as CSV lines. Raises UnavailableError, ConfigError."""
        chosen = self.selection
        if chosen.show == COST:
            yield from self._costs.csv()
            return
        quantity = "active_power" if chosen.show == POWER else chosen.show
        shown = _ENERGIES if chosen.show == ENERGY else (quantity,)
        keys = [
            key for name in chosen.meters for one in shown for key in self.recorded.keys(name, one)
        ]
        # A query without keys would return all of them.
        if keys:
            found = self._read(keys, chosen.span, chosen.meters)
            yield from csv_lines(found.rows, found.columns, self.calendar)

    @property
    def _costs(self) -> CostHistory:
        return CostHistory(self.storage, self.recorded, self.selection, self.texts)

    # Energy.

    def _energies(self) -> Iterator[Section]:
        chosen = self.selection
        now = self._energy_figure(chosen.meters, chosen.span)
        title = self.texts("history.energy_by", by=self.texts(f"by.{chosen.view}"))
        yield from self._compared(title, now, lambda span: self._energy_figure(chosen.meters, span))

    def _energy_figure(self, meters: Sequence[str], span: Span) -> Figure:
        keys_of = {
            name: [key for key in _ENERGIES if self.recorded.keys(name, key)] for name in meters
        }
        keys = [key for name in meters for key in self._parts_of(name)]
        if not keys:
            return self._nothing(span, "kWh")
        found = self._read(keys, span, meters)
        rows = (replace(row, values=_totals(row.values)) for row in found.rows)
        found = _from_first(replace(found, rows=rows), span)
        choice = Choice(keys_of, self._name(keys_of), self.recorded.upstream)
        drawn = figures(found, choice, self.calendar, STEPS)
        return replace(drawn[0], decimals=3 if self.selection.view in _FINE else 2)

    def _parts_of(self, meter: str) -> list[str]:
        return [key for energy in _ENERGIES for key in self.recorded.keys(meter, energy)]

    def _explained(self) -> Iterator[Section]:
        """Show which share of each chosen meter its submeters measured, and which they did not."""
        for name in self.selection.meters:
            below = self.recorded.below(name)
            if not below:
                continue
            whole = self._import_figure([name, *below])
            parts = whole.parts(words_of(self.texts))
            if not whole.series[0].points:
                continue
            # The explained part first, the rest on top.
            shown = replace(parts, series=[*parts.series[1:], parts.series[0]])
            title = self.texts("history.explained", meter=self.recorded.title(name))
            exports = bool(self.recorded.keys(name, "energy_export"))
            table = shares(whole, self.texts, self.formats, exports=exports)
            yield Section(title, shown, table)

    def _import_figure(self, meters: Sequence[str]) -> Figure:
        figure = self._energy_figure(meters, self.selection.span)
        imported = self.texts("quantity.energy_import")
        series = []
        for number, name in enumerate(meters):
            mine = [
                one for one in figure.series if one.meter == name and one.key == "energy_import"
            ]
            points = mine[0].points if mine else {}
            inside = above(name, self.recorded.upstream)
            title = self.recorded.title(name)
            series.append(Series(title, number - 1, points, meter=name, above=inside))
        return replace(figure, title=imported, series=series)

    # Power and all other quantities with minimum, mean and maximum.

    def _curves(self) -> Iterator[Section]:
        chosen = self.selection
        quantity = "active_power" if chosen.show == POWER else chosen.show
        now = self._curve_figure(quantity, chosen.span)
        title = self.texts(f"quantity.{quantity}")
        yield from self._compared(title, now, lambda span: self._curve_figure(quantity, span))

    def _curve_figure(self, quantity: str, span: Span) -> Figure:
        meters = self.selection.meters
        keys_of = {name: self.recorded.keys(name, quantity) for name in meters}
        keys = [key for keys in keys_of.values() for key in keys]
        if not keys:
            return self._nothing(span, QUANTITIES[quantity].unit)
        found = _from_first(self._read(keys, span, meters), span)
        if span.length == "day" and not self.selection.compare and found.columns.view == "raw":
            found = _around_what_there_is(found, self.calendar, self.storage.clock())
        return figures(found, Choice(keys_of, self._name(keys_of)), self.calendar, STEPS)[0]

    def _compared(
        self, title: str, now: Figure, look: Callable[[Span], Figure]
    ) -> Iterator[Section]:
        before = look(self.selection.span.year_before) if self.selection.compare else None
        estimated = now.is_estimated or (before is not None and before.is_estimated)
        note = self.texts("history.estimated_note") if estimated else ""
        yield from self.beside(title, now, before, note)

    def _read(self, keys: Sequence[str], span: Span, meters: Sequence[str]) -> Found:
        query = Query(
            *span.moments(self.calendar.zone),
            self.selection.view,
            meters,
            list(dict.fromkeys(keys)),
            self.recorded.names,
        )
        return self.storage.history.read(query)

    def _name(self, keys_of: Mapping[str, Sequence[str]]) -> Naming:
        """Return how to name series: by what distinguishes them."""
        several_keys = len({key for keys in keys_of.values() for key in keys}) > 1

        def name(meter: str, key: str) -> str:
            if len(keys_of) == 1:
                return self.formats.label(key)
            title = self.recorded.title(meter)
            return f"{title}, {self.formats.label(key)}" if several_keys else title

        return name

    def _nothing(self, span: Span, unit: str) -> Figure:
        """Return an empty chart for a span without measurements."""
        axis = Frame(span.moments(self.calendar.zone), STEPS, self.calendar.zone)
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
