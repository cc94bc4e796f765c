"""Commands as over MQTT, with the same payloads and answers."""

import asyncio
from collections.abc import Callable

from tornado.web import Finish

from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import EsquirellError
from esquirell.domain.payload import read_json
from esquirell.services.command_table import Query, find
from esquirell.services.commands import failure
from esquirell.web.api.endpoint import Api, error_shape
from esquirell.web.handler import status_of

END_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1
FORBIDDEN = 403


class Requests(Api):
    """Runs a command as over MQTT, with the same payload and answer."""

    async def post(self, command: str) -> None:
        """Run the command; wait a moment for the result of a job."""
        try:
            self._check_rights(command)
            data = read_json(self.request.body)
        except EsquirellError as error:
            self._answer(failure(error), None)
            return
        request = Request(self.source, command, data)
        answer = await self.compute(lambda: self.site.runtime.commands.handle(request), "devices")
        if answer.status == "accepted":
            answer = await self._end_of(str(answer.data["task_id"])) or answer
        self._answer(answer, data.get("transaction"))

    def _check_rights(self, command: str) -> None:
        known = find(command, self.source)
        if self.token and not self.token.write and not isinstance(known, Query):
            self.set_status(FORBIDDEN)
            self.write_json(
                error_shape("forbidden", "this token may only read: create one with --write")
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
