"""docs/mqtt.md says what the code does: topics, commands, payloads, codes, entity ids."""

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery import Celery
from paho.mqtt.client import topic_matches_sub
from support import fakes
from support.bills import billed
from support.configuration import METER, ConfigurationFolder
from support.mqtt_parts import NOON, info_of, schedule

import esquirell
from esquirell import profiles
from esquirell.domain.command import Answer
from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.payload import read_json
from esquirell.domain.quantity import QUANTITIES
from esquirell.domain.reading import MeterStatus, Outcome, Reading, payload
from esquirell.domain.requests import ScheduleChange
from esquirell.domain.schedule import StoredSchedule
from esquirell.mqtt.bridge import will_of
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import About, bridge_device, meter_device, schedule_device
from esquirell.mqtt.entities import REASONS
from esquirell.mqtt.options import Options
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics
from esquirell.runtime.root import Runtime
from esquirell.services.command_table import commands_for, find
from esquirell.services.schedules import Schedules

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mqtt.md"
TEXT = PAGE.read_text()
TOPICS = Topics()
COMMANDS = commands_for("mqtt")
TOPIC = r"(?:esquirell|homeassistant)/[^`\s]*"
CODED = ("CommandError", "MeterUnreachableError", "MeterRejectedError")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def example(topic: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the JSON that stands below a topic."""
    found = re.search(rf"^`{topic}`:.*?```json\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
    assert found, topic
    return json.loads(found[1])


def table(first: str) -> list[list[str]]:
    """Return the rows of all tables whose heading begins with `first`."""
    found = re.findall(rf"^\| {first} \|.*?\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    rows = "".join(found).splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def topics_of_the_code() -> set[str]:
    """Call everything that names a topic."""
    names = [name for name in vars(Topics) if not name.startswith("_")]
    members = [getattr(TOPICS, name) for name in names]
    made = [value("<name>") if callable(value) else value for value in members]
    topics = {one for one in made if isinstance(one, str) and "/" in one and "+" not in one}
    patterns = {TOPICS.request("<name>"), TOPICS.response("<name>"), TOPICS.discovery("<name>")}
    assert patterns <= topics
    special = {TOPICS.response("<command>"), TOPICS.discovery("<id>")}
    return topics - patterns | special | {TOPICS.request(command) for command in COMMANDS}


def concrete(topic: str) -> str:
    return re.sub("<[a-z]+>", "fetch", topic)


def is_known(topic: str) -> bool:
    """Return whether a topic of an example, or a filter, is one of ours."""
    ours = {concrete(one) for one in topics_of_the_code()}
    ours |= {TOPICS.response(command) for command in COMMANDS}
    named = re.sub(r"(?<=/(?:meter)/)[a-z0-9_-]+(?=/(state|availability|fetch)$)", "fetch", topic)
    return any(topic_matches_sub(named, one) for one in ours)


def check_command(topic: str, text: str) -> str:
    """Read a command as the bridge does; return its name."""
    command, fields = TOPICS.command_of(concrete(topic))
    find(command, "mqtt").parse(read_json(text.encode()) | fields)
    return command


def published_in_shell() -> Iterator[tuple[str, str, list[str]]]:
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        text = words[words.index("-m") + 1] if "-m" in words else ""
        yield words[words.index("-t") + 1], text, words


def test_every_topic_is_described_and_there_is_no_other() -> None:
    named = set(re.findall(f"`({TOPIC})`", TEXT))
    answers = {TOPICS.response(command) for command in COMMANDS}
    assert named - answers == topics_of_the_code()


def test_topics_in_examples_are_ours() -> None:
    used = [topic for topic, _, _ in published_in_shell()]
    used += re.findall(r"topic: (\S+)", "".join(blocks("yaml")))
    used += [node["topic"] for node in flow() if "topic" in node]
    assert len(used) > 10
    assert [topic for topic in used if not is_known(topic)] == []


def test_every_command_has_an_example_that_is_taken() -> None:
    rows = [row for row in table("topic") if row[1].startswith("`{")]
    commands = [check_command(row[0].strip("`"), row[1].strip("`")) for row in rows]
    assert set(commands) == set(COMMANDS)


def test_commands_in_the_shell_are_taken() -> None:
    lines = [line for line in published_in_shell() if line[2][0] != "mosquitto_sub"]
    for topic, text, words in lines:
        if "-r" not in words:
            check_command(topic, text)
    assert len(lines) > 5


def test_the_fields_of_a_change_are_all_named() -> None:
    sentence = re.search(r"`schedule/set` takes (.*?)\.", TEXT)
    assert sentence
    fields = ScheduleChange.model_fields.keys() - {"name", "transaction"}
    assert set(re.findall("`([a-z]+)`", sentence[1])) == fields


def codes_of_the_code() -> Iterator[str]:
    for file in Path(esquirell.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(ast.Name(name), [ast.Constant(str(code)), *_]) if name in CODED:
                    yield code
                case ast.Call(ast.Name("Answer"), [_, _, _, ast.Constant(str(code))]):
                    yield code
                case ast.Assign([ast.Name("code")], ast.Constant(str(code))):
                    yield code


def test_every_code_is_explained_and_there_is_no_other() -> None:
    explained = [row[0].strip("`") for row in table("code")]
    assert len(explained) == len(set(explained))
    assert set(explained) == {*codes_of_the_code(), *REASONS}


def test_the_example_of_a_reading_has_its_shape() -> None:
    shape = payload(Reading("plug", NOON, {}), profiles.find("plug").keys)
    assert example("esquirell/meter/<name>/state").keys() == shape.keys()


def test_the_example_of_an_availability_has_its_shape() -> None:
    assert example("esquirell/meter/<name>/availability").keys() == MeterStatus().payload().keys()


def test_the_example_of_a_cost_has_its_shape() -> None:
    shown = example("esquirell/meter/<name>/cost")
    whole = billed().of_late("main")
    assert whole
    assert shown.keys() == whole.keys()
    for period in ("today", "this_month"):
        one = shown[period]
        assert one.keys() == whole[period].keys()
        total = one["import_cost"] - one["export_credit"] + one["fee"]
        assert one["total"] == pytest.approx(total)


def test_the_example_of_a_schedule_has_its_shape() -> None:
    store = fakes.ScheduleStore(StoredSchedule("fetch", {"every": 60}))
    states = Schedules(store, fakes.Timetable(), fakes.Clock()).states()
    assert example("esquirell/schedule/<name>/state").keys() == states["fetch"].keys()


def test_the_examples_of_the_bridge_have_their_shape(tmp_path: Path) -> None:
    runtime = Runtime(ConfigurationFolder(tmp_path).load(METER), Celery())
    assert example("esquirell/bridge/info").keys() == runtime.bridging.info().keys()
    assert example("esquirell/bridge/state").keys() == will_of(TOPICS).payload.keys()


class Written(Connection):
    """A connection that writes down events instead of sending them."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def publish(self, topic: str, payload: Mapping[str, object]) -> None:
        self.events.append((topic, payload))


def test_the_example_of_an_event_has_its_shape() -> None:
    connection = Written(Options())
    publisher = MqttPublisher(connection, TOPICS, lambda _: 0, lambda: NOON)
    publisher.event("meter_offline", {"meter": "main", "reason": "unreachable"})
    ((topic, payload),) = connection.events
    assert example(topic) | {"at": ""} == dict(payload) | {"at": ""}


def test_the_examples_of_answers_have_their_shape() -> None:
    found = [json.loads(block) for block in blocks("json")]
    answers = [one for one in found if "status" in one and isinstance(one, dict)]
    assert [one["status"] for one in answers] == ["accepted", "error", "error"]
    for one in answers:
        told = Answer(one["status"], one["data"], one.get("error"), one.get("code")).payload()
        assert told == {key: value for key, value in one.items() if key != "transaction"}


def test_the_example_of_a_fetch_has_its_shape() -> None:
    (fetch,) = [one for one in blocks("json") if '"garage":' in one]
    meters = json.loads(fetch)["data"]["meters"]
    fine = Outcome(Reading("main", NOON, {})).payload()
    failed = Outcome(error=MeterUnreachableError("unreachable", "no")).payload()
    assert meters["main"].keys() == fine.keys()
    assert meters["garage"].keys() == failed.keys()


def flow() -> list[dict[str, Any]]:
    (found,) = [block for block in blocks("json") if block.startswith("[")]
    return list(json.loads(found))


def test_the_flow_holds_together() -> None:
    nodes = {node["id"]: node for node in flow()}
    assert {node["z"] for node in nodes.values() if "z" in node} <= nodes.keys()
    for node in nodes.values():
        for target in (nodes[wire] for output in node.get("wires", []) for wire in output):
            if target["type"] == "mqtt out":
                check_command(target["topic"], node["payload"])
    users = [node for node in nodes.values() if node["type"] in ("mqtt in", "mqtt out")]
    assert {nodes[node["broker"]]["type"] for node in users} == {"mqtt-broker"}


def test_the_automations_use_what_there_is() -> None:
    text = next(block for block in blocks("yaml") if "automation" in block)
    about = About("0.1.0")
    messages = (
        bridge_device(TOPICS, about),
        schedule_device(TOPICS, about, "fetch", schedule()),
        meter_device(TOPICS, info_of("main"), about),
    )
    announced = json.dumps(messages)
    entities = re.findall(r"entity_id: (\w+\.esquirell_\w+)", text)
    assert len(entities) > 1
    assert [one for one in entities if f'"default_entity_id": "{one}"' not in announced] == []
    (commanded,) = re.findall(r"topic: (\S+/request/\S+)\n\s+payload: '(.*)'", text)
    check_command(*commanded)


def test_evcc_reads_what_a_state_has() -> None:
    text = next(block for block in blocks("yaml") if block.startswith("meters:"))
    (meter,) = yaml.safe_load(text)["meters"]
    for what, unit in {"power": "W", "energy": "kWh"}.items():
        assert re.fullmatch(r"esquirell/meter/\w+/state", meter[what]["topic"])
        assert QUANTITIES[meter[what]["jq"].removeprefix(".")].unit == unit


def test_the_automations_are_laid_out_evenly() -> None:
    lines = "".join(blocks("yaml")).splitlines()
    indents = [len(line) - len(line.lstrip(" ")) for line in lines if line]
    assert not any(indent % 2 for indent in indents)
    assert all(re.match(r" *(- )?\w+:( |$)", line) for line in lines if line)


def test_the_users_are_those_of_the_access_list() -> None:
    text = (ROOT / "config" / "mosquitto.acl").read_text()
    users = re.findall(r"^user (\w+)$", text, re.MULTILINE)
    assert [row[0].strip("`") for row in table("user")] == users


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https:)([^)#]+)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).is_file()
