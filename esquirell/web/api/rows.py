"""Readings, statistics and costs, row by row."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import get_args

from esquirell.domain.errors import CommandError, ConfigError, unknown_meter
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import iso
from esquirell.services.costs import COST_PERIODS, CostQuery
from esquirell.services.history import Columns, Query, Row, View
from esquirell.web.api.endpoint import Api
from esquirell.web.json_text import encode

MOST_ROWS = 100_000
ROWS_AT_ONCE = 1000


class Rows(Api):
    """Readings or statistics, streamed; after 100,000 rows `next` says where to continue."""

    parameters = ("meter", "since", "until", "quantity", "resolution")

    def initialize(self, since: str, view: View) -> None:
        """Take the default start and resolution."""
        self._since, self._view = since, view

    async def get(self) -> None:
        """Stream the rows."""
        columns, rows = await self.compute(self._found, "past")
        self.set_header("Content-Type", "application/json")
        pages = _pages(rows, columns)
        self.write('{"data": [')
        first = True
        while (page := await self.compute(lambda: next(pages, None), "past")) is not None:
            if isinstance(page, datetime):
                self.write(b'], "next": %s}' % encode(iso(page)))
                return
            text = b",\n".join(encode(row) for row in page)
            self.write(text if first else b",\n" + text)
            first = False
            await self.flush()
        self.write('], "next": null}')

    def _found(self) -> tuple[Columns, Iterator[Row]]:
        view = self.asked("resolution", self._view)
        if view not in get_args(View):
            raise CommandError(
                "invalid_payload", f"resolution: must be {', '.join(get_args(View))}"
            )
        span = self.span(self._since)
        runtime = self.site.runtime
        keys = self.get_query_argument("quantity", None)
        query = Query(
            *span,
            view,  # type: ignore[arg-type]  # checked above
            self.get_query_arguments("meter"),
            [] if keys is None else [key.strip() for key in keys.split(",")],
            [meter.name for meter in runtime.meters()],
        )
        found = runtime.storage.history.read(query)
        return found.columns, found.rows


class Costs(Api):
    """The cost of the energy, by the tariffs of the meters."""

    parameters = ("meter", "since", "until", "resolution", "tariff")

    async def get(self) -> None:
        """Answer with a row per meter and period."""
        rows, following = await self.compute(self._rows, "past")
        self.write_json({"data": rows, "next": iso(following) if following else None})

    def _rows(self) -> tuple[list[dict[str, object]], datetime | None]:
        """Return the rows, and the moment from which to go on if there are too many."""
        period = self.asked("resolution", "day")
        if period not in COST_PERIODS:
            raise CommandError("invalid_payload", f"resolution: must be {', '.join(COST_PERIODS)}")
        storage, known = self.site.runtime.storage, self.site.runtime.settings.meter_names
        meters = self.get_query_arguments("meter")
        for name in meters:
            if name not in known:
                raise unknown_meter(name, known)
        span, tariff = self.span("30d"), self.asked("tariff") or None
        query = CostQuery(*span, period, meters, tariff)
        try:
            billed = storage.costs.billed(query)
        except ConfigError as error:
            raise CommandError("invalid_payload", str(error)) from error
        storage.fresh_statistics.ensure(list(billed))
        query, following = _shortened(query, len(billed), Calendar(self.site.zone))
        return [row.payload() for row in storage.costs.read(query)], following


def _shortened(
    query: CostQuery, meters: int, calendar: Calendar
) -> tuple[CostQuery, datetime | None]:
    """Return a query for no more rows than the limit, and where the next one begins.

    Rows come meter by meter: cut off, those of the last meters would be missing.
    """
    at = calendar.floor(query.since, query.period)
    for _ in range(max(1, MOST_ROWS // max(1, meters))):
        at = calendar.after(at, query.period)
        if at >= query.until:
            return query, None
    return replace(query, until=at), at


def _pages(rows: Iterable[Row], columns: Columns) -> Iterator[list[dict[str, object]] | datetime]:
    """Yield rows by the thousand; at the limit yield the moment to continue from, and end.

    All rows of one moment come together, so that none is listed twice or left out.
    """
    count = 0
    page: list[dict[str, object]] = []
    for at, together in groupby(rows, key=lambda row: row.at):
        shapes = [columns.shape(row) for row in together]
        if count and count + len(shapes) > MOST_ROWS:
            yield page
            yield at
            return
        count += len(shapes)
        page += shapes
        if len(page) >= ROWS_AT_ONCE:
            yield page
            page = []
    if page:
        yield page
