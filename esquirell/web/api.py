"""/api/v1: the same for programs, as JSON."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any, get_args

from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError

from esquirell.domain.command import Answer, Request, Source, entry_of
from esquirell.domain.errors import CommandError, ConfigError, EsquirellError
from esquirell.domain.moments import moment
from esquirell.domain.reading import Reading, iso, payload
from esquirell.domain.requests import read_json
from esquirell.services.command_table import Query as QueryCommand
from esquirell.services.command_table import find
from esquirell.services.commands import failure
from esquirell.services.costs import COST_PERIODS, CostQuery
from esquirell.services.history import Columns, Query, Row, View
from esquirell.web.handler import Handler, ProblemError, status_of
from esquirell.web.json_text import encode
from esquirell.web.live import LOOK_AGAIN
from esquirell.web.openapi import document
from esquirell.web.tokens import Token

END_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1
MOST_ROWS = 100_000
ROWS_AT_ONCE = 1000
MOST_LOGGED = 1000
LOGGED = 50
KEEP_ALIVE_S = 20.0
UNAUTHORIZED = 401
FORBIDDEN = 403
REPEATED = frozenset({"meter"})
SMALL = re.compile(r"[0-9]{1,6}")


class Api(Handler):
    """An answer for a program with a token, or for a browser that is logged in."""

    token: Token | None = None
    # The parameters of its query; `meter` may be repeated.
    parameters: tuple[str, ...] = ()

    @property
    def wants_json(self) -> bool:
        """Whether programs read the answer."""
        return True

    def identify(self) -> None:
        """Find the token, else the session. Five wrong tokens a minute are enough."""
        given = self.request.headers.get("Authorization")
        if given is None:
            super().identify()
            return
        if wait_s := self.site.wrong.wait_s(self.visit.address):
            self.set_header("Retry-After", str(wait_s))
            self.set_status(429)
            self.write_json(_error("too_many_attempts", self.texts("error.429")))
            raise Finish
        scheme, _, text = given.partition(" ")
        self.token = self.site.tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        if self.token is None:
            self.site.wrong.note(self.visit.address)

    def may_pass(self) -> bool:
        """Whether this request may be answered."""
        named = "Authorization" in self.request.headers
        return self.token is not None if named else super().may_pass()

    def refuse(self) -> None:
        """Ask for a token. Raises HTTPError."""
        raise HTTPError(401)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's
        """Say what is wrong, and how to log in where that is it."""
        if status_code == UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "Bearer")
        super().write_error(status_code, **kwargs)

    def prepare(self) -> None:
        """Let nobody in who may not; refuse a query that would not be understood."""
        super().prepare()
        given = self.request.query_arguments
        for name, values in given.items():
            if name not in self.parameters:
                known = ", ".join(self.parameters)
                has = f"it has {known}" if known else "it has no parameters"
                raise _invalid(f"{name[:40]}: is not known here; {has}")
            if len(values) > 1 and name not in REPEATED:
                raise _invalid(f"{name}: may be given only once")

    def sentence(self, status: int) -> str:
        """Return what an error means to a program."""
        key = f"error.api.{status}"
        if not self.texts.has(key):
            return super().sentence(status)
        return self.texts(key, methods=", ".join(self.methods))

    def check_token_of_page(self) -> None:
        """Ask browsers for it: programs have a token of their own, which nobody forges."""
        if "Authorization" not in self.request.headers:
            super().check_token_of_page()

    @property
    def source(self) -> Source:
        """Where a command comes from: a program, or a script of a page."""
        return "api" if self.token else "web"

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return str(self.get_query_argument(name, default))

    def span(self, since: str) -> tuple[datetime, datetime]:
        """Return the span of the query, by default from `since`. Raises CommandError."""
        now, zone = datetime.now(UTC), self.site.zone
        try:
            begin = moment(self.asked("since", since), now, zone)
            end = moment(self.asked("until", "0s"), now, zone)
        except ValueError as error:
            raise CommandError("invalid_payload", str(error)) from None
        if begin > end:
            raise CommandError(
                "invalid_payload", "since lies after until: there is nothing in between"
            )
        return begin, end

    async def query(self, command: str) -> Mapping[str, Any]:
        """Return the data of a command that only looks."""
        request = Request(self.source, command)
        answer = await self.compute(lambda: self.site.runtime.commands.handle(request))
        if answer.status == "error":
            raise ProblemError(CommandError(answer.code or "internal", answer.error or ""))
        return answer.data


class Listed(Api):
    """What a command lists, without the wrapping."""

    def initialize(self, command: str, key: str = "") -> None:
        """Take the command, and the key that its list stands under."""
        self._command, self._key = command, key

    async def get(self) -> None:
        """Answer with it."""
        data = await self.query(self._command)
        self.write_json(data[self._key] if self._key else dict(data))


class Logged(Api):
    """The log of commands, the newest last."""

    parameters = ("last",)

    async def get(self) -> None:
        """Answer with the last of them."""
        asked = self.asked("last", str(LOGGED))
        last = int(asked) if SMALL.fullmatch(asked) else 0
        if not 1 <= last <= MOST_LOGGED:
            raise _invalid(f"last: must be a whole number from 1 to {MOST_LOGGED}")
        log = self.site.runtime.storage.commands
        records = await self.compute(lambda: log.recent(last))
        self.write_json([entry_of(record) for record in reversed(records)])


class LoggedOne(Api):
    """One command of the log, with its whole answer."""

    async def get(self, task_id: str) -> None:
        """Answer with it."""
        log = self.site.runtime.storage.commands
        record = await self.compute(lambda: log.get(task_id))
        if record is None:
            raise ProblemError(CommandError("unknown_task", "no command has this id"))
        answer = record.answer.payload() if record.answer else None
        self.write_json(entry_of(record) | {"answer": answer})


class Rows(Api):
    """Readings or statistics, streamed; after 100,000 rows `next` tells where to go on."""

    parameters = ("meter", "since", "until", "quantity", "resolution")

    def initialize(self, since: str, view: View) -> None:
        """Take how far back it goes, and of what resolution, where the query does not say."""
        self._since, self._view = since, view

    async def get(self) -> None:
        """Stream them."""
        columns, rows = await self.compute(self._found)
        self.set_header("Content-Type", "application/json")
        pages = _pages(rows, columns)
        self.write('{"data": [')
        first = True
        while (page := await self.compute(lambda: next(pages, None))) is not None:
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
        meters, quantities = self.get_query_arguments("meter"), self.asked("quantity").split(",")
        query = Query(
            *span,
            view,  # type: ignore[arg-type]  # checked above
            meters,
            [key.strip() for key in quantities if key.strip()],
            [meter.name for meter in runtime.meters()],
        )
        found = runtime.storage.history.read(query)
        return found.columns, found.rows


class Costs(Api):
    """What the energy has cost, by the tariffs of the meters."""

    parameters = ("meter", "since", "until", "resolution", "tariff")

    async def get(self) -> None:
        """Answer with a row per meter and period."""
        rows = await self.compute(self._rows)
        self.write_json({"data": rows, "next": None})

    def _rows(self) -> list[dict[str, object]]:
        period = self.asked("resolution", "day")
        if period not in COST_PERIODS:
            raise CommandError("invalid_payload", f"resolution: must be {', '.join(COST_PERIODS)}")
        storage, known = self.site.runtime.storage, self.site.runtime.settings.meter_names
        meters = self.get_query_arguments("meter")
        for name in meters:
            if name not in known:
                raise CommandError("unknown_meter", f"there is no meter {name!r}")
        span, tariff = self.span("30d"), self.asked("tariff") or None
        query = CostQuery(*span, period, meters, tariff)
        try:
            billed = storage.costs.billed(query)
        except ConfigError as error:
            raise CommandError("invalid_payload", str(error)) from error
        storage.fresh_statistics.ensure(list(billed))
        return [row.payload() for row in islice(storage.costs.read(query), MOST_ROWS)]


def _pages(rows: Iterable[Row], columns: Columns) -> Iterator[list[dict[str, object]] | datetime]:
    """Yield rows by the thousand; at the limit yield the moment from which to go on, and end.

    All rows of one moment come together, so that none is told twice or left out.
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


class Requests(Api):
    """Commands: the payload as over MQTT, and the same answers."""

    async def post(self, command: str) -> None:
        """Run one, and wait a moment for the end of what takes long."""
        try:
            self._check_rights(command)
            data = read_json(self.request.body)
        except EsquirellError as error:
            self._answer(failure(error), None)
            return
        request = Request(self.source, command, data)
        answer = await self.compute(lambda: self.site.runtime.commands.handle(request))
        if answer.status == "accepted":
            answer = await self._end_of(str(answer.data["task_id"])) or answer
        self._answer(answer, data.get("transaction"))

    def _check_rights(self, command: str) -> None:
        known = find(command, self.source)
        if self.token and not self.token.write and not isinstance(known, QueryCommand):
            self.set_status(FORBIDDEN)
            self.write_json(
                _error("forbidden", "this token may only read: create one with --write")
            )
            raise Finish

    async def _end_of(self, task_id: str) -> Answer | None:
        log, loop = self.site.runtime.storage.commands, asyncio.get_running_loop()
        deadline = loop.time() + END_WITHIN_S
        while loop.time() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)
            record = await self.compute(lambda: log.get(task_id))
            if record and record.answer:
                return record.answer
        return None

    def _answer(self, answer: Answer, transaction: object) -> None:
        statuses: dict[str, Callable[[], int]] = {
            "ok": lambda: 200,
            "accepted": lambda: 202,
            "error": lambda: status_of(answer.code or "internal"),
        }
        self.set_status(statuses[answer.status]())
        told = {} if transaction is None else {"transaction": transaction}
        self.write_json(answer.payload() | told)


class Events(Api):
    """Readings and events as they come, server-sent."""

    async def get(self) -> None:
        """Stream events until the other side goes: `reading` and `event`."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            return
        try:
            with self.site.live.watching() as queue, suppress(StreamClosedError):
                self.write(":\n\n")
                await self.flush()
                while True:
                    try:
                        news = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
                    except TimeoutError:
                        self.write(":\n\n")
                    else:
                        if news is not LOOK_AGAIN:
                            self.write(_sent(news))
                    await self.flush()
        except OverflowError:
            self.send_error(503)


def _sent(news: Reading | Mapping[str, Any]) -> bytes:
    if isinstance(news, Reading):
        kind, shape = "reading", {"meter": news.meter} | payload(news, tuple(news.values))
    else:
        kind, shape = "event", dict(news)
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode(shape))


class OpenApi(Api):
    """The description of all this, made from the table of commands."""

    async def get(self) -> None:
        """Answer with it."""
        self.write_json(document(f"{self.visit.base}/api/v1"))


class Unknown(Api):
    """Addresses of the API that do not exist."""

    def prepare(self) -> None:
        """Say that there is nothing."""
        Handler.prepare(self)
        raise HTTPError(404)


def _invalid(sentence: str) -> ProblemError:
    return ProblemError(CommandError("invalid_payload", sentence))


def _error(code: str, sentence: str) -> dict[str, Any]:
    return {"status": "error", "error": sentence, "code": code, "data": {}}
