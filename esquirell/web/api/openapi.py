"""openapi.json, made from the table of commands and the models of payloads and answers."""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from esquirell.domain.answers import Accepted, HealthReport, MeterSummary, ScheduleState
from esquirell.services.command_table import Command, Job, commands_for
from esquirell.services.costs import COST_PERIODS
from esquirell.services.history import VIEWS

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object", "additionalProperties": True}
# Invalid requests, no token, wrong method, unknown host name, too many wrong tokens, headers too
# large, unexpected errors, something unreachable.
_OF_ANY = ("400", "401", "405", "421", "429", "431", "500", "503")


def document(base: str) -> Schema:
    """Return the OpenAPI description with paths below `base`."""
    commands = commands_for("api")
    models = _models(commands.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "esquirell",
            "version": version("esquirell"),
            "description": "Readings, statistics, costs and schedules of Tuya energy meters.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": _lists()
        | {f"/requests/{name}": _post(command) for name, command in commands.items()},
        "components": {
            "schemas": models | _own_schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(commands: Any) -> Schema:  # noqa: ANN401 - an iterable of commands
    used: dict[str, type[BaseModel]] = {}
    for command in commands:
        for model in (command.payload, command.answer):
            used[model.__name__] = model
    for model in (Accepted, MeterSummary, ScheduleState, HealthReport):
        used[model.__name__] = model
    pairs = [(model, "validation") for model in used.values()]
    _, found = models_json_schema(pairs, ref_template=_REF)  # type: ignore[arg-type]  # a literal
    definitions: Schema = found.get("$defs", {})
    return definitions


def _own_schemas() -> Schema:
    return {
        "Error": {
            "type": "object",
            "required": ["status", "error", "code"],
            "properties": {
                "status": {"const": "error"},
                "error": _TEXT | {"description": "one sentence that says what to change"},
                "code": _TEXT,
                "data": _OBJECT,
                "transaction": {},
            },
        },
        "Rows": {
            "type": "object",
            "required": ["data", "next"],
            "properties": {
                "data": {"type": "array", "items": _OBJECT},
                "next": {
                    "type": ["string", "null"],
                    "format": "date-time",
                    "description": "pass it as `since` to continue after 100,000 rows",
                },
            },
        },
        "LogEntry": {
            "type": "object",
            "required": ["id", "at", "source", "command", "request", "outcome"],
            "properties": {
                **dict.fromkeys(("id", "source", "command", "outcome"), _TEXT),
                "at": _TEXT | {"format": "date-time"},
                "request": _OBJECT,
                "ended_at": {"type": ["string", "null"], "format": "date-time"},
                "code": {"type": ["string", "null"]},
                "error": {"type": ["string", "null"]},
                "answer": {"anyOf": [_OBJECT, {"type": "null"}]},
            },
        },
    }


def _lists() -> Schema:
    span = [
        _parameter("since", _TEXT, "2026-11-22, 2026-11-22T10:15, or 24h for 24 hours ago"),
        _parameter("until", _TEXT, "exclusive; default: now"),
    ]
    meter = _parameter("meter", {"type": "array", "items": _TEXT}, "only this one; may be repeated")
    quantity = _parameter("quantity", _TEXT, "only these keys, separated by commas")
    resolution = _parameter("resolution", _TEXT | {"enum": list(VIEWS)}, "one row per")
    rows = [meter, *span, quantity, resolution]
    period = _parameter("resolution", _TEXT | {"enum": list(COST_PERIODS)}, "one row per")
    tariff = _parameter("tariff", _TEXT, "use this tariff, whichever meters it is for")
    last = _parameter("last", {"type": "integer", "minimum": 1, "maximum": 1000}, "how many")
    task = {"name": "task_id", "in": "path", "required": True, "schema": _TEXT}
    return {
        "/meters": _get("list_meters", "All meters", _array("MeterSummary")),
        "/schedules": _get("list_schedules", "All schedules", _array("ScheduleState")),
        "/health": _get("get_health", "The health of the service", _ref("HealthReport")),
        "/readings": _get("list_readings", "Stored readings", _ref("Rows"), rows),
        "/statistics": _get("list_statistics", "By hour, day, month", _ref("Rows"), rows),
        "/cost": _get(
            "list_cost", "What the energy has cost", _ref("Rows"), [meter, *span, period, tariff]
        ),
        "/log": _get("list_log", "Commands, newest last", _array("LogEntry"), [last]),
        "/log/{task_id}": _get("get_log_entry", "One command", _ref("LogEntry"), [task]),
        "/events": {
            "get": {
                "operationId": "stream_events",
                "summary": "Readings and events, live",
                "responses": {
                    "200": {
                        "description": "server-sent events: `reading` and `event`",
                        "content": {"text/event-stream": {"schema": _TEXT}},
                    },
                    **_errors("422"),
                },
            }
        },
    }


def _get(name: str, summary: str, schema: Schema, parameters: Any = ()) -> Schema:  # noqa: ANN401 - a list of schemas
    names = {parameter["name"] for parameter in parameters}
    unknown = ["404"] if names & {"meter", "task_id"} else []
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": list(parameters),
            "responses": {
                "200": _json("the data", schema),
                **_errors(*unknown, "422"),
            },
        }
    }


def _post(command: Command) -> Schema:
    data = _ref(command.answer.__name__)
    responses = {"200": _json("the result", _answer("ok", data))}
    if isinstance(command, Job):
        responses["202"] = _json("the result follows", _answer("accepted", _ref("Accepted")))
    summary = (command.handler.__doc__ or "").partition("\n")[0]
    fields = command.payload.model_fields
    return {
        "post": {
            "operationId": command.name.replace("/", "_"),
            "summary": summary,
            "requestBody": {
                "required": any(field.is_required() for field in fields.values()),
                "content": {"application/json": {"schema": _ref(command.payload.__name__)}},
            },
            "responses": responses | _errors("403", "404", "409", "413", "422", "502"),
        }
    }


def _answer(status: str, data: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["status", "data"],
        "properties": {"status": {"const": status}, "data": data, "transaction": {}},
    }


def _errors(*codes: str) -> Schema:
    """Return the error responses for these statuses, and for those of any request."""
    return {code: _json("the reason", _ref("Error")) for code in sorted((*codes, *_OF_ANY))}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameter(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _array(model: str) -> Schema:
    return {"type": "array", "items": _ref(model)}


def _ref(model: str) -> Schema:
    return {"$ref": _REF.format(model=model)}
