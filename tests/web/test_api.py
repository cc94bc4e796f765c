"""/api/v1: tokens, rights, answers, streams: against a running service."""

import json
import time
from typing import Any

import pytest
from support.cli import Said, esquirell_process
from support.page import Browser, Reply
from support.page_house import KEY, House
from support.waiting import eventually

API = "/api/v1"


def cli(house: House, *words: str) -> Said:
    return esquirell_process("--config", str(house.service.config), *words)


class Program(Browser):
    """Asks with a token."""

    def __init__(self, port: int, token: str, source: str = "127.0.0.1") -> None:
        super().__init__(port, source=source)
        self._token = token

    def read(self, path: str) -> Reply:
        return self.get(API + path, Authorization=f"Bearer {self._token}")

    def give(self, command: str, payload: Any = None) -> Reply:  # noqa: ANN401 - JSON is anything
        body = json.dumps({} if payload is None else payload)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return self.ask("POST", f"{API}/requests/{command}", body, headers)


@pytest.fixture(scope="module")
def tokens(house: House) -> dict[str, str]:
    writes = cli(house, "web", "token", "add", "writer", "--write")
    reads = cli(house, "web", "token", "add", "reader", "--json")
    assert writes.code == 0, writes
    assert reads.json["write"] is False
    return {"writer": writes.out.strip(), "reader": reads.json["token"]}


@pytest.fixture
def writer(house: House, tokens: dict[str, str]) -> Program:
    return Program(house.port, tokens["writer"])


@pytest.fixture
def reader(house: House, tokens: dict[str, str]) -> Program:
    return Program(house.port, tokens["reader"])


def test_a_token_is_shown_once_and_kept_as_a_hash(house: House, tokens: dict[str, str]) -> None:
    listed = cli(house, "web", "token", "list", "--json").json
    assert [(one["name"], one["write"]) for one in listed] == [("reader", False), ("writer", True)]
    kept = house.service.folder / "data" / "web-tokens.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    for token in tokens.values():
        assert token not in kept.read_text()
        assert token not in house.service.log
    again = cli(house, "web", "token", "add", "reader")
    assert "there is a token 'reader' already" in again.sentence


def test_a_removed_token_lets_nobody_in(house: House) -> None:
    token = cli(house, "web", "token", "add", "short").out.strip()
    assert Program(house.port, token).read("/health").status == 200
    assert cli(house, "web", "token", "remove", "short").code == 0
    assert Program(house.port, token).read("/health").status == 401
    assert cli(house, "web", "token", "remove", "short").code == 2


def test_without_a_token_nothing_is_answered(house: House) -> None:
    for path in ("/meters", "/readings", "/events", "/openapi.json", "/nothing"):
        reply = house.stranger("127.0.0.31").get(API + path)
        assert reply.status == 401
        assert reply.json["code"] == "unauthorized"
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_five_wrong_tokens_a_minute_are_enough(house: House) -> None:
    wrong = Program(house.port, "esq_wrong", source="127.0.0.32")
    assert [wrong.read("/health").status for _ in range(6)] == [401] * 5 + [429]
    assert int(wrong.read("/health").headers["Retry-After"]) > 0


def test_a_token_that_reads_changes_nothing(reader: Program) -> None:
    for command, payload in (
        ("schedule/disable", {"name": "fetch"}),
        ("fetch", {}),
        ("meter/try", {"device_id": "x", "local_key": KEY}),
        ("task/run", {"task": "rollup"}),
    ):
        reply = reader.give(command, payload)
        assert reply.status == 403, command
        assert reply.json["code"] == "forbidden"
    assert reader.give("schedule/list").status == 200


def test_lists_are_those_of_the_command_line(house: House, reader: Program) -> None:
    assert {one["name"] for one in reader.read("/meters").json} == {"main", "hung"}
    listed = cli(house, "schedule", "list", "--json").json
    (here,) = reader.read("/schedules").json
    changing = {"last_run_at", "next_run_at", "last_result"}
    assert here.keys() == listed[0].keys()
    assert all(here[key] == listed[0][key] for key in here.keys() - changing)
    assert reader.read("/health").json["database"]["ok"] is True


def test_readings_are_those_of_the_command_line(house: House, reader: Program) -> None:
    eventually(lambda: house.service.readings() > 2, what="some readings")
    moment = reader.read("/readings?meter=main").json["data"][1]["measured_at"]
    words = ("readings", "main", "--until", moment, "--json")
    expected = cli(house, *words).json
    found = reader.read(f"/readings?meter=main&until={moment}").json
    assert found["next"] is None
    assert found["data"] == expected
    assert len(expected) == 1
    only = reader.read("/readings?meter=main&quantity=voltage_a").json["data"]
    assert only[0].keys() == {"measured_at", "voltage_a"}
    hours = reader.read("/statistics?meter=main&resolution=hour").json["data"]
    assert "active_power_mean" in hours[-1]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/readings?meter=nobody", 404, "unknown_meter"),
        ("/readings?since=soon", 422, "invalid_payload"),
        ("/readings?since=2026-01-02&until=2026-01-01", 422, "invalid_payload"),
        ("/readings?resolution=week", 422, "invalid_payload"),
        ("/readings?quantity=volts", 422, "invalid_payload"),
        ("/log?last=all", 422, "invalid_payload"),
        ("/log/00000000-0000-0000-0000-000000000000", 404, "unknown_task"),
        ("/nothing", 404, "not_found"),
    ],
)
def test_what_is_wrong_is_said(reader: Program, path: str, status: int, code: str) -> None:
    reply = reader.read(path)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["error"]


@pytest.mark.parametrize(
    ("command", "payload", "status", "code"),
    [
        ("nothing", {}, 404, "unknown_command"),
        ("fetch", [], 422, "invalid_payload"),
        ("fetch", {"meters": ["nobody"]}, 404, "unknown_meter"),
        ("schedule/add", {"name": "fetch", "every": 5}, 409, "already_exists"),
        ("schedule/run", {"name": "nobody"}, 404, "unknown_schedule"),
        ("task/run", {"task": "nobody"}, 404, "unknown_task"),
        ("meter/test", {"name": "hung"}, 502, "no_data"),
    ],
)
def test_a_command_that_fails_says_why(
    writer: Program, command: str, payload: object, status: int, code: str
) -> None:
    reply = writer.give(command, payload)
    assert (reply.status, reply.json["code"]) == (status, code), reply.text
    assert reply.json["status"] == "error"


def test_what_is_not_json_or_too_much_is_refused(writer: Program, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['writer']}"}
    assert writer.ask("POST", f"{API}/requests/fetch", "{", headers).json["code"] == "invalid_json"
    large = json.dumps({"meters": ["x" * 70_000]})
    reply = writer.ask("POST", f"{API}/requests/fetch", large, headers)
    assert (reply.status, reply.json["code"]) == (413, "too_large")


def test_a_fetch_is_answered_with_its_end(writer: Program) -> None:
    began = time.monotonic()
    reply = writer.give("fetch", {"meters": ["main"], "transaction": "t-1"})
    assert reply.status == 200, reply.text
    assert time.monotonic() - began < 10
    assert reply.json["transaction"] == "t-1"
    task_id = reply.json["data"]["task_id"]
    assert reply.json["data"]["meters"]["main"]["status"] == "ok"
    entry = writer.read(f"/log/{task_id}").json
    assert (entry["source"], entry["command"], entry["outcome"]) == ("api", "fetch", "ok")
    assert entry["answer"]["data"]["meters"]["main"]["status"] == "ok"
    assert writer.read("/log?last=1").json[0]["id"]


def test_a_browser_that_is_logged_in_needs_the_token_of_a_page(house: House) -> None:
    browser = house.browser()
    assert browser.get(f"{API}/health").status == 200
    refused = browser.ask("POST", f"{API}/requests/schedule/list", "{}")
    assert refused.status == 403
    header = {"X-XSRFToken": browser.token}
    assert browser.ask("POST", f"{API}/requests/schedule/list", "{}", header).status == 200


def test_events_are_readings_and_what_happens(writer: Program) -> None:
    authorization = writer._token
    with writer.events(f"{API}/events", Authorization=f"Bearer {authorization}") as events:
        reading = next(events)
        assert reading["meter"] == "main"
        assert "active_power" in reading or "active_power_a" in reading
        assert "diagnostics" in reading


def test_the_description_is_complete(reader: Program) -> None:
    described = reader.read("/openapi.json").json
    assert described["openapi"].startswith("3.1")
    posts = {path for path, one in described["paths"].items() if "post" in one}
    listed = {f"/requests/{name}" for name in ("fetch", "meter/add", "schedule/add", "task/run")}
    assert listed <= posts

    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if "$ref" in part else set()
            return own.union(*(references(one) for one in part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) <= known
