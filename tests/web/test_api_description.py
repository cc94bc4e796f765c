"""What the API answers is what openapi.json says: each list, each command, each error."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from support.cli import esquirell_process
from support.page import Browser, Reply
from support.page_house import House

from esquirell.services.command_table import Query, commands_for
from esquirell.web.api.openapi import document

API = "/api/v1"
DESCRIBED = document(API)
COMMANDS = sorted(commands_for("api"))
ROUTES = sorted((path, method) for path, one in DESCRIBED["paths"].items() for method in one)
LISTS = sorted(
    path for path, one in DESCRIBED["paths"].items() if "get" in one and "events" not in path
)
# What these would need is not there, whatever is sent with them.
NOTHING_NEEDED = {name for name, one in commands_for("api").items() if isinstance(one, Query)}


class Program(Browser):
    """Asks with a token."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(port)
        self.headers = {"Authorization": f"Bearer {token}"}

    def read(self, path: str) -> Reply:
        return self.ask("GET", API + path, headers=self.headers)

    def give(self, command: str, payload: object) -> Reply:
        return self.ask("POST", f"{API}/requests/{command}", json.dumps(payload), self.headers)


@pytest.fixture(scope="module")
def program(house: House) -> Program:
    words = ("web", "token", "add", "described", "--write")
    said = esquirell_process("--config", str(house.service.config), *words)
    return Program(house.port, said.out.strip())


def mistakes(path: str, method: str, reply: Reply) -> Iterator[str]:
    """Return where an answer differs from what is described for it."""
    responses = DESCRIBED["paths"][path][method]["responses"]
    if str(reply.status) not in responses:
        yield f"{path}: {reply.status} is not described: {reply.text}"
        return
    schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
    whole = {**schema, "components": DESCRIBED["components"]}
    for error in OAS31Validator(whole).iter_errors(reply.json):
        yield f"{path}: {'/'.join(map(str, error.path))}: {error.message}"


@pytest.mark.parametrize("path", LISTS)
def test_each_list_is_as_described(program: Program, path: str) -> None:
    assert program.give("schedule/set", {"name": "fetch", "every": 1}).status == 200
    (entry,) = program.read("/log?last=1").json
    reply = program.read(path.format(task_id=entry["id"]))
    # This house has no tariff.
    assert reply.status == (422 if path == "/cost" else 200)
    assert list(mistakes(path, "get", reply)) == []


@pytest.mark.parametrize("path", LISTS)
def test_what_a_list_refuses_is_as_described(program: Program, path: str) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    for query in ("?colour=red", "?meter=nobody", "?since=soon"):
        reply = program.read(path.format(task_id=unknown) + query)
        assert reply.status >= 400
        assert list(mistakes(path, "get", reply)) == []
        assert_one_shape(reply)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "payload",
    [[], "x", None, 7, {"colour": "red"}, {"name": "nobody"}, {"transaction": {}}],
    ids=repr,
)
def test_what_a_command_refuses_is_as_described(
    program: Program,
    command: str,
    payload: Any,  # noqa: ANN401 - JSON is anything
) -> None:
    reply = program.give(command, payload)
    assert reply.status >= 400
    assert list(mistakes(f"/requests/{command}", "post", reply)) == []
    assert_one_shape(reply)


@pytest.mark.parametrize("command", sorted(NOTHING_NEEDED))
def test_queries_are_answered_as_described(program: Program, command: str) -> None:
    reply = program.give(command, {"transaction": "mine"})
    assert reply.status == 200, reply.text
    assert reply.json["transaction"] == "mine"
    assert list(mistakes(f"/requests/{command}", "post", reply)) == []


def test_the_life_of_a_schedule_is_as_described(program: Program) -> None:
    steps = [
        ("schedule/add", {"name": "night", "cron": "0 3 * * *"}),
        ("schedule/set", {"name": "night", "every": 3600}),
        ("schedule/disable", {"name": "night"}),
        ("schedule/enable", {"name": "night"}),
        ("schedule/run", {"name": "night"}),
        ("schedule/reset", {"name": "fetch"}),
        ("schedule/remove", {"name": "night"}),
        ("fetch", {"meters": ["main"]}),
        ("fetch", {}),
        ("meter/test", {"name": "main"}),
        ("meter/capture", {"name": "main"}),
        ("task/run", {"task": "rollup"}),
    ]
    for command, payload in steps:
        reply = program.give(command, payload)
        assert list(mistakes(f"/requests/{command}", "post", reply)) == [], command


def assert_one_shape(reply: Reply) -> None:
    assert {"status", "error", "code", "data"} <= reply.json.keys()
    assert reply.json["status"] == "error"
    # One sentence that somebody wrote, no name of a class, and no line of code.
    assert reply.json["error"]
    assert "\n" not in reply.json["error"]
    assert "Error" not in reply.json["error"]


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_whatever_is_wrong_with_a_request_has_one_shape_that_is_described(
    program: Program, path: str, method: str
) -> None:
    asked = API + path.format(task_id="00000000-0000-0000-0000-000000000000")
    token = program.headers
    wrong: list[tuple[str, str | None, dict[str, str], int]] = [
        ("PUT", "{}", token, 405),
        ("DELETE", None, token, 405),
        ("GET", None, {"Authorization": "Basic eDp5"}, 401),
        ("GET", None, {}, 401),
        ("GET", None, token | {"Host": "evil.example.com"}, 421),
        ("GET", None, token | {"X-Large": "x" * 40_000}, 431),
    ]
    if method == "post":
        form = token | {"Content-Type": "application/x-www-form-urlencoded"}
        parts = token | {"Content-Type": "multipart/form-data"}
        wrong += [
            ("POST", "{", token, 422),
            ("POST", "[]", token, 422),
            ("POST", "name=fetch", form, 422),
            ("POST", "--x", parts, 400),
            ("POST", "--x", parts | {"Content-Type": "multipart/form-data; boundary=y"}, 400),
            ("POST", '{"colour": "red"}', token, 422),
            ("POST", json.dumps({"x": "y" * 70_000}), token, 413),
            ("POST", "x" * 1_200_000, token, 413),
        ]
    # Wrong tokens of one address are counted.
    stranger = Browser(program.port, source=f"127.0.1.{ROUTES.index((path, method)) + 1}")
    for verb, body, headers, status in wrong:
        reply = stranger.ask(verb, asked, body, headers)
        assert reply.status == status, (verb, body, headers, reply.text)
        assert reply.headers["Content-Type"] == "application/json"
        assert list(mistakes(path, method, reply)) == []
        assert_one_shape(reply)
