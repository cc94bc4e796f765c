"""History: energy, power and costs of the past, by day, week, month or year."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from esquirell.domain.record import record
from esquirell.web.handler import Handler
from esquirell.web.history import HistoryView
from esquirell.web.history_sections import Section
from esquirell.web.pictures import live_of, picture, readout_of, style
from esquirell.web.selection import COST, ENERGY, POWER, RecordedMeters, Selection, select
from esquirell.web.spans import LENGTHS, Span
from esquirell.web.texts import Texts

LINES_AT_ONCE = 2000
# From this many meters on, their list is closed at first.
MANY = 8
_POWER = "active_power"


@record
class Drawn:
    """A section of the page with its charts for wide and narrow windows, and its read-out.

    `live` tells the script how to show the present power on it; empty if it does not.
    """

    part: Section
    wide: str
    narrow: str
    readout: str
    live: str = ""


class HistoryHandler(Handler):
    """The base of the answers about history."""

    page = "history"

    @property
    def today(self) -> date:
        """The current day in the configured time zone."""
        return datetime.now(UTC).astimezone(ZoneInfo(self.site.zone)).date()

    def selected(self) -> tuple[RecordedMeters, Selection]:
        """Return the recorded meters and the selection. Raises UnavailableError."""
        runtime = self.site.runtime
        statuses = runtime.storage.reading_history.statuses()
        recorded = RecordedMeters(
            runtime.meters(), {name: status.keys for name, status in statuses.items()}
        )
        return recorded, select(self.get_query_arguments, recorded, self.today)


class History(HistoryHandler):
    """The history page."""

    async def get(self) -> None:
        """Show the selection, by default today's energy."""
        recorded, selection, (done, days), parts = await self.compute(self._look, "past")
        self.render(
            "history.html",
            recorded=recorded,
            areas=recorded.areas(),
            chosen=selection,
            backlog={"done": done, "days": days} if done < days else None,
            parts=parts,
            span_name=self._name(selection.span),
            lengths=LENGTHS,
            shows=(
                ENERGY,
                POWER,
                COST,
                *(quantity for quantity in recorded.quantities() if quantity != _POWER),
            ),
            today=self.today,
            many=len(recorded.names) > MANY,
            sheet=f"{self.visit.base}/pictures.css?v={style()[1]}",
        )

    def _look(self) -> tuple[RecordedMeters, Selection, tuple[int, int], list[Drawn]]:
        """Return the recorded meters, the selection, the progress of statistics, and the charts.

        There are no charts until the statistics are up to date.
        """
        recorded, selection = self.selected()
        worked_up = (0, 0)
        if selection.of_statistics:
            below = (meter for name in selection.meters for meter in recorded.below(name))
            worked_up = self.site.backlog.work_up([*selection.meters, *below])
            if worked_up[0] < worked_up[1]:
                return recorded, selection, worked_up, []

        def draw() -> list[Drawn]:
            return self._draw(recorded, selection)

        if selection.view == "raw":
            # Raw readings are shown to see the newest: not cached.
            return recorded, selection, worked_up, draw()
        key = (self.texts.language, selection, recorded.signature, self._stamp())
        return recorded, selection, worked_up, self.site.drawn.get(key, draw)

    def _stamp(self) -> tuple[object, ...]:
        """Return a value that differs after a correction, a reset or a change of tariffs.

        Raises UnavailableError.
        """
        storage = self.site.runtime.storage
        tariffs = tuple(tariff.model_dump_json() for tariff in storage.costs.tariffs)
        return storage.commands.stamp(), tariffs

    def _draw(self, recorded: RecordedMeters, selection: Selection) -> list[Drawn]:
        view = HistoryView(self.site.runtime.storage, recorded, selection, self.texts)
        drawn = [
            _drawn(part, f"p{number}", self.texts) for number, part in enumerate(view.sections())
        ]
        if selection.show == POWER and selection.span.length in {"day", "week"}:
            span = selection.span.moments(self.site.zone)
            drawn = [
                replace(figure, live=live_of(figure.part.figure, span, self.texts))
                for figure in drawn
            ]
        return drawn

    def _name(self, span: Span) -> str:
        texts, first = self.texts, self.formats.day(span.first)
        match span.length:
            case "day":
                return first
            case "week" | "range":
                last = self.formats.day(span.last)
                return texts("history.week", first=first, last=last) if span.days > 1 else first
            case "month":
                return f"{texts(f'month.long.{span.first.month}')} {span.first.year}"
            case "year":
                return str(span.first.year)
        return texts("history.all")


def _drawn(part: Section, name: str, texts: Texts) -> Drawn:
    wide = picture(part.figure, texts, name)
    narrow = picture(part.figure, texts, name, narrow=True)
    return Drawn(part, wide, narrow, readout_of(part.figure, texts))


class HistoryCsv(HistoryHandler):
    """The same data as CSV, line by line."""

    async def get(self) -> None:
        """Stream the rows."""
        chosen, lines = await self.compute(self._lines, "past")
        days = [chosen.span.first, *([chosen.span.last] if chosen.span.length == "range" else [])]
        name = "-".join(["esquirell", chosen.show, *(day.isoformat() for day in days)]) + ".csv"
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')

        def read() -> str:
            return "".join(islice(lines, LINES_AT_ONCE))

        while text := await self.compute(read, "past"):
            self.write(text)
            await self.flush()

    def _lines(self) -> tuple[Selection, Iterator[str]]:
        recorded, chosen = self.selected()
        return chosen, HistoryView(self.site.runtime.storage, recorded, chosen, self.texts).csv()


class Pictures(Handler):
    """The style sheet of charts."""

    is_open = True

    def get(self) -> None:
        """Answer with the style sheet; browsers may keep it, as its URL contains its version."""
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.set_header("Cache-Control", "max-age=31536000, immutable")
        self.finish(style()[0])
