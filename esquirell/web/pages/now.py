"""Now: each meter's power, the house's, the day so far; live."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tornado.iostream import StreamClosedError

from esquirell.domain.reading import Reading
from esquirell.web.formats import Formats
from esquirell.web.handler import Handler
from esquirell.web.live import News
from esquirell.web.overview import Glance, House, sparkline

# Readings that come in one go are told in one go.
GATHER_S = 0.15
MANY = 12


class Now(Handler):
    """The first page."""

    page = "now"

    async def get(self) -> None:
        """Show all meters as they are now."""
        house = await self.compute(self.site.overview.look)
        self.render("now.html", house=house, sparkline=sparkline, many=len(house.meters) > MANY)


class LiveNow(Handler):
    """What changes on the first page, as server-sent events: texts by the names of their places."""

    async def get(self) -> None:
        """Stream readings until the browser goes."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
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
            shown = changes(house, self.formats)
            fresh = {key: value for key, value in shown.items() if known.get(key) != value}
            known = shown
            self.write(f"data: {json.dumps(fresh, ensure_ascii=False)}\n\n" if fresh else ":\n\n")
            await self.flush()
            news = await _gathered(queue, refresh_s)
            read = {one.meter for one in news if isinstance(one, Reading)}
            house = self.site.overview.renewed(house, read)
            if len(read) < len(news) and not read:
                # An event: a meter went offline, a schedule was changed.
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


def changes(house: House, formats: Formats) -> dict[str, Any]:
    """Return what the page shows, by place: `main.power`, `main.curve`, `total:power`."""
    shown = {
        # No meter's name holds a colon.
        "total:power": formats.power(house.power),
        "total:import": formats.energy(house.today.imported),
        "total:cost": formats.money(house.today.cost, house.today.currency),
    }
    for one in house.meters:
        shown |= dict(_of(one, formats))
    return shown


def _of(one: Glance, formats: Formats) -> Iterable[tuple[str, Any]]:
    name = one.meter.name
    yield f"{name}.power", formats.power(one.power)
    yield f"{name}.import", formats.energy(one.today.imported)
    yield f"{name}.cost", formats.money(one.today.cost, one.today.currency)
    yield f"{name}.age", one.read_at.isoformat() if one.read_at else ""
    yield f"{name}.state", one.state
    yield f"{name}.curve", sparkline(one.curve)
