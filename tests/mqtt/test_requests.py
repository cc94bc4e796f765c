"""Commands between the broker and the dispatcher, over a connection that only writes down."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import UnavailableError
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.requests import LOOK_RARELY_S, Requests
from esquirell.mqtt.topics import Topics
from esquirell.mqtt.traffic import Handler

REQUEST, RESPONSE = "esquirell/bridge/request", "esquirell/bridge/response"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Written(Connection):
    """A connection that writes down what is answered and acknowledged, and sends nothing."""

    def __init__(self) -> None:
        super().__init__(Options())
        self.answers: list[tuple[str, dict[str, Any], bytes]] = []
        self.acknowledged: list[Message] = []
        self.up = True

    @property
    def connected(self) -> bool:
        return self.up

    def answer(
        self,
        topic: str,
        payload: Mapping[str, object],
        correlation: bytes,
        instead: Mapping[str, object] | None = None,
    ) -> None:
        json.dumps(payload, allow_nan=False)
        assert instead is not None
        assert (instead["code"], instead.get("transaction")) == (
            "too_large",
            payload.get("transaction"),
        )
        self.answers.append((topic, dict(payload), correlation))

    def subscribe(
        self,
        topic_filter: str,
        handler: Handler,
        *,
        qos: int = 1,
        keeps: bool = False,
        own: bool = True,
    ) -> None:
        assert (qos, keeps, own) == (1, True, True), topic_filter
        self.receive = handler

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message)


class RecordedResults:
    """Jobs that ended, or have not yet."""

    def __init__(self) -> None:
        self.records: list[CommandRecord] = []
        self.away = False

    def unanswered(self) -> list[CommandRecord]:
        if self.away:
            raise UnavailableError("the database is unreachable")
        return list(self.records)

    def answered(self, command_id: str) -> None:
        self.records = [one for one in self.records if one.id != command_id]

    def tidy(self) -> None:
        pass


class Desk:
    """Takes messages as from the broker, one after the other."""

    def __init__(self, answer: Answer | None = None, topics: Topics | None = None) -> None:
        self.connection, self.results = Written(), RecordedResults()
        self.asked: list[Request] = []
        self.given = answer or Answer("ok", {"n": 1})
        self.now = 0.0
        self.requests = Requests(
            self.connection, topics or Topics(), self._handle, self.results, lambda: self.now
        )
        self.requests.start()

    def _handle(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.given

    def take(self, topic: str, payload: bytes = b"{}", **properties: Any) -> None:  # noqa: ANN401 - as Message's
        message = Message(topic, payload, properties.pop("retained", False), **properties)
        self.connection.receive(message)
        self.requests.run_once()
        assert self.connection.acknowledged[-1] is message

    def look(self) -> None:
        """Let so much time pass that results are looked for."""
        self.now += 60
        self.requests.run_once()

    @property
    def answer(self) -> tuple[str, dict[str, Any], bytes]:
        return self.connection.answers[-1]


def test_a_command_is_handled_answered_and_acknowledged() -> None:
    desk = Desk()
    desk.take(f"{REQUEST}/schedule/set", b'{"name":"fetch","every":5,"transaction":"42"}')
    (request,) = desk.asked
    assert (request.source, request.command, request.about) == ("mqtt", "schedule/set", None)
    assert request.data == {"name": "fetch", "every": 5, "transaction": "42"}
    assert desk.answer == (
        f"{RESPONSE}/schedule/set",
        {"status": "ok", "data": {"n": 1}, "transaction": "42"},
        b"",
    )


@pytest.mark.parametrize(
    ("topic", "payload", "command", "data", "about"),
    [
        ("meter/main/fetch", b"", "fetch", {"meters": ["main"]}, "main"),
        ("meter/main/fetch", b"PRESS", "fetch", {"meters": ["main"]}, "main"),
        (
            "meter/main/fetch",
            b'{"meters":["other"],"transaction":7}',
            "fetch",
            {"meters": ["main"], "transaction": 7},
            "main",
        ),
        ("schedule/night/run", b"[]", "schedule/run", {"name": "night"}, "night"),
        (
            "schedule/night/set",
            b'{"enabled":false}',
            "schedule/set",
            {"name": "night", "enabled": False},
            "night",
        ),
    ],
)
def test_shorter_topics_say_the_same(
    topic: str, payload: bytes, command: str, data: dict[str, Any], about: str
) -> None:
    desk = Desk()
    desk.take(f"esquirell/{topic}", payload)
    (request,) = desk.asked
    assert (request.command, request.data, request.about) == (command, data, about)
    assert desk.answer[0] == f"{RESPONSE}/{command}"


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (f"{REQUEST}/health", b"{", "invalid_json"),
        (f"{REQUEST}/health", b"[]", "invalid_payload"),
        (f"{REQUEST}/health", b" " * 70_000, "too_large"),
        ("esquirell/meter/main/fetch", b" " * 70_000, "too_large"),
        ("esquirell/schedule/night/set", b'{"name":"fetch","every":5}', "invalid_payload"),
        ("esquirell/schedule/night/set", b"x", "invalid_json"),
    ],
)
def test_unknown_commands_are_answered_with_an_error(topic: str, payload: bytes, code: str) -> None:
    desk = Desk()
    desk.take(topic, payload)
    assert desk.asked == []
    assert (desk.answer[1]["status"], desk.answer[1]["code"]) == ("error", code)


def test_an_error_is_answered_with_its_code_and_transaction() -> None:
    desk = Desk(Answer("error", {}, "there is no command", "unknown_command"))
    desk.take(f"{REQUEST}/nosuch/thing", b'{"transaction":1}')
    assert desk.answer == (
        f"{RESPONSE}/nosuch/thing",
        {
            "status": "error",
            "error": "there is no command",
            "code": "unknown_command",
            "data": {},
            "transaction": 1,
        },
        b"",
    )


def test_a_retained_command_is_not_run_and_not_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    desk.take(f"{REQUEST}/fetch", retained=True)
    assert (desk.asked, desk.connection.answers) == ([], [])
    assert "a retained command on esquirell/bridge/request/fetch was not run" in caplog.text


def test_a_response_topic_gets_the_answer_with_its_correlation() -> None:
    desk = Desk()
    desk.take(f"{REQUEST}/health", reply_to="answers/me", correlation=b"\x00\xff")
    assert desk.answer == ("answers/me", {"status": "ok", "data": {"n": 1}}, b"\x00\xff")
    assert desk.asked[0].reply == {
        "topic": "answers/me",
        "correlation": "00ff",
        "transaction": None,
    }


@pytest.mark.parametrize(
    "topic",
    [
        *("", "+", "answers/+", "answers/#", "a\0b"),
        *("esquirell", "esquirell/meter/main/state", "homeassistant/device/x/config"),
        "$SYS/x",
    ],
)
def test_a_response_topic_that_must_not_be_used_is_refused(topic: str) -> None:
    desk = Desk()
    desk.take(f"{REQUEST}/fetch", reply_to=topic, correlation=b"1")
    assert desk.asked == []
    assert (desk.answer[0], desk.answer[2]) == (f"{RESPONSE}/fetch", b"")
    assert desk.answer[1]["code"] == "invalid_payload"


def test_without_discovery_its_prefix_is_a_topic_like_others() -> None:
    desk = Desk(topics=Topics(discovery_prefix=""))
    desk.take(f"{REQUEST}/fetch", reply_to="homeassistant/answers")
    assert desk.answer[0] == "homeassistant/answers"


def record(answer: Answer | None, **reply: object) -> CommandRecord:
    told = {"topic": "answers/me", "correlation": "31", "transaction": "t"} | reply
    return CommandRecord("id-1", AT, "mqtt", "fetch", reply=told, answer=answer)


def test_the_end_of_a_job_is_answered_where_it_was_asked_for_once() -> None:
    desk = Desk(Answer("accepted", {"task_id": "id-1"}))
    desk.results.records = [record(None)]
    desk.take(f"{REQUEST}/fetch", b'{"transaction":"t"}', reply_to="answers/me")
    assert [one[1]["status"] for one in desk.connection.answers] == ["accepted"]
    desk.results.records = [record(Answer("ok", {"task_id": "id-1", "meters": {}}))]
    for _ in range(3):
        desk.look()
    assert [one[1]["status"] for one in desk.connection.answers] == ["accepted", "ok"]
    assert desk.answer == (
        "answers/me",
        {"status": "ok", "data": {"task_id": "id-1", "meters": {}}, "transaction": "t"},
        b"1",
    )


def test_the_end_of_a_job_of_before_a_restart_is_answered_soon() -> None:
    desk = Desk()
    desk.results.records = [record(Answer("ok"))]
    desk.connection.up = False
    desk.requests.run_once()
    desk.connection.up = True
    desk.now += LOOK_RARELY_S
    desk.requests.run_once()
    assert len(desk.connection.answers) == 1


def test_an_end_waits_for_broker_and_database() -> None:
    desk = Desk()
    desk.results.records = [record(Answer("ok"))]
    for desk.connection.up, desk.results.away in ((False, False), (True, True)):
        desk.look()
    assert desk.connection.answers == []
    desk.results.away = False
    desk.look()
    assert len(desk.connection.answers) == 1


def test_a_result_that_is_not_json_is_an_internal_error() -> None:
    desk = Desk()
    desk.results.records = [record(Answer("ok", {"result": float("nan")}))]
    desk.look()
    assert (desk.answer[1]["status"], desk.answer[1]["code"]) == ("error", "internal")
    assert desk.results.records == []
