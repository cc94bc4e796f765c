"""The table of commands: who may send which, what is recorded, what an answer looks like."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from support.commanding import Bench, from_file

from esquirell.domain.command import Answer, Request, Source
from esquirell.domain.errors import CommandError
from esquirell.domain.requests import NamePayload, Payload
from esquirell.services import command_table
from esquirell.services.command_table import (
    COMMANDS,
    NOT_MQTT,
    Change,
    Job,
    Query,
    commands_for,
    find,
    schemas,
)
from esquirell.services.handlers import Data, Handlers

SECRET = re.compile("key|password|secret|token|address|device_id")
NEW = {"device_id": "bf77", "local_key": "0123456789abcdef"}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "meter/test": {"name": "main"},
    "meter/capture": {"name": "main"},
    "meter/try": NEW | {"address": "10.0.0.5"},
    "meter/add": NEW | {"name": "barn"},
    "meter/set": {"name": "added", "label": "Added"},
    "meter/exchange": {"name": "added"} | NEW,
    "meter/remove": {"name": "added"},
    "schedule/add": {"name": "fast", "every": 5},
    "schedule/set": {"name": "fetch", "every": 5},
    "schedule/enable": {"name": "fetch"},
    "schedule/disable": {"name": "fetch"},
    "schedule/reset": {"name": "fetch"},
    "schedule/remove": {"name": "fetch"},
    "schedule/run": {"name": "fetch"},
    "log_level": {"level": "debug"},
    "task/run": {"task": "fetch_and_save_energy_data"},
}
OUTCOMES: Mapping[str, Any] = {
    "ha/backfill": {"hours": {"main": {"written": 4, "left": 2}}},
    "fetch": {"meters": {"main": {"status": "ok", "measured_at": "2026-11-22T10:15:00.123Z"}}},
    "meter/test": {"name": "main", "reading": {"voltage": 230.1}, "duration_ms": 12},
    "meter/capture": {"product_id": "", "dps": {"1": True}},
}


class WithSecret(NamePayload):
    local_key: SecretStr | None = None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_answer_has_the_shape_that_the_table_promises(name: str) -> None:
    bench = Bench(from_file())
    bench.files.put("added", NEW | {"name": "added", "device_id": "bf78"})
    command = COMMANDS[name]
    source: Source = "cli" if "cli" in command.sources else "mqtt"
    answer = bench.commands.handle(Request(source, name, EXAMPLES.get(name, {})))
    if isinstance(command, Job):
        assert answer.status == "accepted"
        task_id = answer.data["task_id"]
        bench.jobs.finished(task_id, Answer("ok"), OUTCOMES.get(name, 3))
        answer = bench.jobs.wait(task_id)
    assert answer.status == "ok", answer
    command.answer.model_validate(answer.data)


def test_nothing_over_mqtt_takes_or_returns_a_key_a_password_or_an_address() -> None:
    found = {
        name
        for command in commands_for("mqtt").values()
        for model in (command.payload, command.answer)
        for name in _names(model.model_json_schema())
    }
    assert {"name", "every", "reading", "state"} <= found
    assert not {name for name in found if SECRET.search(name)}
    assert any(map(SECRET.search, _names(COMMANDS["meter/add"].payload.model_json_schema())))


def _names(schema: object) -> Iterator[str]:
    """Yield the names of all fields in a JSON schema."""
    if isinstance(schema, Mapping):
        yield from schema.get("properties", {})
    inner = schema.values() if isinstance(schema, Mapping) else schema
    for part in inner if isinstance(inner, Iterable) and not isinstance(inner, str) else ():
        yield from _names(part)


def test_commands_not_allowed_over_mqtt_are_unknown_there() -> None:
    assert COMMANDS["meter/capture"].sources == NOT_MQTT
    for source in ("cli", "web", "api"):
        assert find("meter/capture", source)
    with pytest.raises(CommandError, match="there is no command 'meter/capture'") as caught:
        find("meter/capture", "mqtt")
    assert caught.value.code == "unknown_command"
    assert "meter/capture" not in str(caught.value).partition("known:")[2]
    bench = Bench(from_file())
    assert bench.code("meter/capture", name="main") == "unknown_command"
    kept = {name for name, one in COMMANDS.items() if one.sources == NOT_MQTT}
    verbs = ("capture", "try", "add", "set", "exchange", "remove")
    assert kept == {f"meter/{verb}" for verb in verbs}
    assert set(schemas("mqtt")) == set(commands_for("mqtt")) == set(COMMANDS) - kept


@pytest.mark.parametrize("source", ["mqtt", "cli", "web", "api"])
def test_the_log_records_the_source_of_a_command(source: Source) -> None:
    bench = Bench(from_file())
    bench.commands.handle(Request(source, "schedule/disable", {"name": "fetch"}))
    (record,) = bench.log.records.values()
    assert record.source == source


def keep_key(_: Handlers, payload: WithSecret) -> Data:
    assert payload.local_key
    return {"name": payload.local_key.get_secret_value()[::-1]}


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch) -> Bench:
    entry: Change[Any] = Change("meter/key", WithSecret, keep_key, BaseModel, sources=NOT_MQTT)
    monkeypatch.setattr(command_table, "COMMANDS", {**COMMANDS, "meter/key": entry})
    return Bench(from_file())


def test_a_secret_reaches_its_handler_and_is_not_recorded(secretive: Bench) -> None:
    data = {"name": "main", "local_key": "0123456789abcdef"}
    answer = secretive.commands.handle(Request("web", "meter/key", data))
    assert answer.data == {"name": "fedcba9876543210"}
    (record,) = secretive.log.records.values()
    assert record.request == {"name": "main", "local_key": "***"}
    assert "0123456789abcdef" not in str(record)


def test_another_secret_is_another_command_and_the_same_one_is_not(secretive: Bench) -> None:
    request = Request("api", "meter/key", {"name": "a", "local_key": "one", "transaction": 1})
    for data in (request.data, request.data, {**request.data, "local_key": "two"}):
        answer = secretive.commands.handle(replace(request, data=data))
        assert answer.data["name"] == data["local_key"][::-1]
    assert len(secretive.log.records) == 2


def test_a_wrong_secret_is_not_repeated_in_the_answer(secretive: Bench) -> None:
    data = {"name": "main", "local_key": ["0123456789abcdef"]}
    answer = secretive.commands.handle(Request("api", "meter/key", data))
    assert answer.code == "invalid_payload"
    assert "0123456789abcdef" not in str(answer)


def test_queries_change_nothing_and_are_not_recorded() -> None:
    bench = Bench(from_file())
    for name, command in COMMANDS.items():
        if isinstance(command, Query):
            assert command.payload.model_fields.keys() == Payload.model_fields.keys()
            assert bench.ok(name)
    assert bench.log.records == {}
