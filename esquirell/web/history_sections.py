"""What all sections of the history page have in common: a chart, its table, and a year ago."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from esquirell.domain.periods import Calendar
from esquirell.domain.record import record
from esquirell.plots.figure import Figure
from esquirell.runtime.storage import Storage
from esquirell.web.formats import Formats
from esquirell.web.pictures import words_of
from esquirell.web.selection import RecordedMeters, Selection
from esquirell.web.tables import Table, by_meter, by_period
from esquirell.web.texts import Texts

# More grey curves of the year before would only confuse.
_MOST_TWINS = 2


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
