"""Now: each meter's power, the house's, the day so far; live."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from zlib import crc32

from tornado.iostream import StreamClosedError

from esquirell.domain.reading import Reading
from esquirell.web.formats import Formats
from esquirell.web.handler import Handler
from esquirell.web.json_text import encode
from esquirell.web.live import News
from esquirell.web.overview import Glance, House, sparkline
from esquirell.web.texts import Texts
from esquirell.web.today import Today

# Readings that come in one go are told in one go.
GATHER_S = 0.15
MANY = 12


class Now(Handler):
    """The first page."""

    page = "now"

    async def get(self) -> None:
        """Show all meters as they are now."""
        house = await self.compute(self.site.overview.look)
        self.render(
            "now.html",
            house=house,
            many=len(house.meters) > MANY,
            shown=changes(house, self.texts, self.formats),
            day=day_of,
            days=days_of(house.today),
            doubled=1 < len(house.counted) <= MANY and len(house.counted) == len(house.meters),
        )


class LiveNow(Handler):
    """What changes on the first page, as server-sent events: texts by the names of their places."""

    async def get(self) -> None:
        """Stream readings until the browser goes."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            return
        try:
            with self.site.live.watching() as queue, suppress(StreamClosedError):
                await self._tell(queue)
        except OverflowError:
            self.send_error(503)

    async def _tell(self, queue: "asyncio.Queue[News]") -> None:
        loop = asyncio.get_running_loop()
        known: dict[str, Any] = {}
        refresh_s = self.site.live.refresh_s
        house, looked_at = House(()), -refresh_s
        while True:
            if loop.time() - looked_at >= refresh_s:
                house, looked_at = await self.compute(self.site.overview.look), loop.time()
            shown = changes(house, self.texts, self.formats)
            fresh = {key: value for key, value in shown.items() if known.get(key) != value}
            known = shown
            self.write(b"data: %s\n\n" % encode(fresh) if fresh else b":\n\n")
            await self.flush()
            news = await _gathered(queue, refresh_s)
            read = {one.meter for one in news if isinstance(one, Reading)}
            house = self.site.overview.renewed(house, read)
            # An event (a meter went offline, a schedule was changed), or midnight.
            if (len(read) < len(news) and not read) or self.site.overview.day.is_over:
                looked_at = -refresh_s


async def _gathered(queue: "asyncio.Queue[News]", limit_s: float) -> list[News]:
    """Wait for what is new; return what comes together."""
    news: list[News] = []
    with suppress(TimeoutError):
        news.append(await asyncio.wait_for(queue.get(), limit_s))
        await asyncio.sleep(GATHER_S)
    while not queue.empty():
        news.append(queue.get_nowait())
    return news


def changes(house: House, texts: Texts, formats: Formats) -> dict[str, Any]:
    """Return what the page shows, by place: `main.power`, `main.curve`, `total:power`."""
    shown = {
        # No meter's name holds a colon.
        "total:power": formats.power(house.power),
        "total:note": note_of(house, texts),
        **{f"total:{name}": text for name, text in _day(house.today, formats)},
    }
    for one in house.meters:
        shown |= dict(_of(one, formats))
    return shown | {"page:shape": shape_of(house)}


def shape_of(house: House) -> str:
    """Name what makes up the page: where it differs, the page is loaded again.

    A meter was added, or it is known now what the day has brought.
    """
    parts = [(one.meter.name, one.meter.title, one.meter.area, day_of(one)) for one in house.meters]
    return f"{crc32(repr((parts, days_of(house.today), house.trouble)).encode()):x}"


def note_of(house: House, texts: Texts) -> str:
    """Say which way the energy flows, and which meters are not in the sum."""
    if house.power is None:
        return texts("now.unknown")
    notes = [texts("now.feeding_in" if house.power < 0 else "now.drawing")]
    if len(house.counted) > 1:
        notes.append(texts("now.summed", count=len(house.counted)))
    if house.missing:
        notes.append(texts.counted("now.partial", house.missing))
    return " · ".join(notes)


def days_of(today: Today, *, produces: bool = False) -> list[tuple[str, str]]:
    """Return which figures of a day are shown, as the ends of their places, with their titles."""
    exports = bool(today.exported)
    figures = [
        (not produces, "import", "now.imported" if exports else "now.today"),
        (exports, "export", "now.exported"),
        (today.generated is not None, "generated", "now.generated"),
        (today.cost is not None, "cost", "now.cost"),
    ]
    return [(place, title) for is_shown, place, title in figures if is_shown]


def day_of(one: Glance) -> list[tuple[str, str]]:
    """Return which figures of a meter's day are shown, as `days_of`."""
    return days_of(one.today, produces=one.produces)


def _of(one: Glance, formats: Formats) -> Iterable[tuple[str, Any]]:
    name = one.meter.name
    yield f"{name}.power", formats.power(one.power)
    yield f"{name}.watts", one.power
    for place, text in _day(one.today, formats):
        yield f"{name}.{place}", text
    yield f"{name}.age", one.read_at.isoformat() if one.read_at else ""
    yield f"{name}.state", one.state
    yield f"{name}.curve", sparkline(one.curve)


def _day(today: Today, formats: Formats) -> Iterable[tuple[str, str]]:
    yield "import", formats.energy(today.imported)
    yield "export", formats.energy(today.exported)
    yield "generated", formats.energy(today.generated)
    yield "cost", formats.money(today.cost, today.currency)
