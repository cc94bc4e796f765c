"""Commands over MQTT against a running service, as users and Home Assistant send them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support.house import REQUEST, RESPONSE, House, whole_house
from support.mqtt_observer import Seen, retained
from support.waiting import LIMIT_S, eventually

# More than the twenty that a broker sends before it waits for an acknowledgement.
BURST = 500
# Each is written to the disk before it is answered.
BURST_LIMIT_S = 300.0
# After a change was asked for, it takes effect.
EFFECT_S = 2.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service for all tests that leave it running."""
    with whole_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    """The shared service with the schedules of its file."""
    shared.observer.forget()
    yield shared
    for schedule in shared.ask("schedule/list")["data"]["schedules"]:
        if schedule["origin"] == "user" and schedule["name"] != "fetch":
            shared.ask("schedule/remove", name=schedule["name"])
    assert shared.ask("schedule/reset", name="fetch")["data"]["every"] == 60


def test_every_command_does_what_it_says(house: House) -> None:
    fetched = house.finish("fetch", meters=["main"])
    assert fetched["status"] == "ok"
    assert fetched["data"]["meters"]["main"]["status"] == "ok"
    assert set(fetched["data"]) == {"task_id", "meters"}
    tested = house.finish("meter/test", name="main")
    assert tested["data"]["reading"]["voltage_a"] == 236.1
    assert set(tested["data"]) == {"name", "reading", "duration_ms"}
    assert house.ask("schedule/add", name="fast", every=3)["data"]["origin"] == "user"
    assert house.ask("schedule/set", name="fast", every=2)["data"]["every"] == 2
    assert not house.ask("schedule/disable", name="fast")["data"]["enabled"]
    assert house.ask("schedule/enable", name="fast")["data"]["enabled"]
    ran = house.finish("schedule/run", name="fast")
    assert ran["data"]["result"]["meters"]["main"]["status"] == "ok"
    ran = house.finish("task/run", task="fetch_and_save_energy_data", args={"meters": ["main"]})
    assert ran["status"] == "ok"
    names = [one["name"] for one in house.ask("schedule/list")["data"]["schedules"]]
    assert sorted(names) == ["fast", "fetch"]
    assert house.ask("schedule/remove", name="fast")["data"] == {"name": "fast"}
    assert house.ask("schedule/reset", name="fetch")["data"]["every"] == 60
    assert house.ask("meter/list")["data"]["meters"][0]["name"] == "main"
    tasks = house.ask("task/list")["data"]["tasks"]
    names = ["backfill", "backup", "fetch_and_save_energy_data", "prune", "rollup"]
    assert [task["name"] for task in tasks] == names
    health = house.ask("health")["data"]
    assert health["healthy"], health["problems"]
    info = json.loads(retained(house.broker.port)["esquirell/bridge/info"])
    assert set(info["commands"]) >= {"fetch", "schedule/add", "task/run", "health"}


def test_the_short_topics_of_meters_and_schedules(house: House) -> None:
    house.observer.publish("esquirell/meter/main/fetch", b"anything")
    house.observer.saw(fine("fetch"))
    house.observer.publish("esquirell/schedule/fetch/set", b'{"every": 7}')
    house.observer.saw(fine("schedule/set"))
    eventually(lambda: house.state()["every"] == 7)
    house.observer.publish("esquirell/schedule/fetch/run", b"")
    house.observer.saw(fine("schedule/run"))
    house.observer.publish("esquirell/meter/attic/fetch", b"")
    seen = house.observer.saw(lambda one: b"unknown_meter" in one.payload)
    assert seen.topic == f"{RESPONSE}/fetch"


def fine(command: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.topic == f"{RESPONSE}/{command}" and seen.json["status"] == "ok"


def delay_s(house: House, name: str) -> float:
    """Return after how many seconds a change took effect, as the service itself noted both."""
    house.ask("schedule/add", name=name, every=3600)
    before = eventually(lambda: one if (one := house.listed(name))["last_result"] else {})
    house.ask("schedule/set", name=name, every=1)
    changed_at = house.last_command_at()
    ran = eventually(
        lambda: one if (one := house.listed(name))["last_run_at"] > before["last_run_at"] else {}
    )
    house.ask("schedule/remove", name=name)
    return datetime.fromisoformat(ran["last_run_at"]).timestamp() - changed_at


def test_a_change_takes_effect_within_two_seconds(house: House) -> None:
    # Of three the middle one counts: a busy machine may stop anybody for a second.
    assert sorted(delay_s(house, f"change-{number}") for number in range(3))[1] <= EFFECT_S


def test_a_schedule_that_was_disabled_runs_no_more(house: House) -> None:
    house.ask("schedule/add", name="fast", every=1)
    eventually(lambda: house.listed("fast")["last_result"])
    house.ask("schedule/disable", name="fast")
    disabled_at = house.last_command_at()
    # That nothing happens takes its time: two more runs would have been due.
    time.sleep(EFFECT_S + 2)
    ran = datetime.fromisoformat(house.listed("fast")["last_run_at"]).timestamp()
    assert ran - disabled_at <= EFFECT_S


def test_next_run_is_when_it_then_runs(house: House) -> None:
    house.ask("schedule/set", name="fetch", every=3)
    eventually(lambda: house.state()["every"] == 3)

    def came_true() -> bool:
        foretold = house.listed("fetch")["next_run_at"]
        ran = eventually(
            lambda: (at := house.listed("fetch")["last_run_at"] or "") >= foretold and at
        )
        return bool(ran[:19] == foretold[:19])

    # Of five: a busy machine may end a run a second late.
    assert [came_true() for _ in range(5)].count(True) >= 3


def test_a_removed_schedule_is_cleared_and_announced(house: House) -> None:
    house.ask("schedule/add", name="night", cron="0 3 * * *", timezone="Asia/Tokyo")
    eventually(lambda: house.state("night").get("timezone") == "Asia/Tokyo")
    house.ask("schedule/remove", name="night")
    eventually(lambda: house.state("night") == {})
    house.observer.saw(lambda one: b"schedule_changed" in one.payload)


def with_reply(port: int, topic: str, payload: bytes, reply_to: str, correlation: bytes) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho lacks it
    properties.ResponseTopic = reply_to
    properties.CorrelationData = correlation
    client.publish(topic, payload, 1, properties=properties).wait_for_publish(LIMIT_S)
    client.disconnect()
    client.loop_stop()


def test_mqtt_5_answers_go_where_the_asker_listens(house: House) -> None:
    with_reply(house.broker.port, f"{REQUEST}/fetch", b"", "answers/me", b"\x01\xff")
    ended = house.observer.saw(lambda one: one.topic == "answers/me" and one.json["status"] == "ok")
    assert ended.correlation == b"\x01\xff"
    statuses = [one.json["status"] for one in house.observer.of("answers/me")]
    assert statuses == ["accepted", "ok"]
    assert house.observer.of(f"{RESPONSE}/fetch") == []


@pytest.mark.parametrize(
    ("command", "payload", "code"),
    [
        ("nosuch", b'{"transaction": 7}', "unknown_command"),
        ("fetch", b"{", "invalid_json"),
        ("fetch", b"[]", "invalid_payload"),
        ("fetch", b" " * 70_000, "too_large"),
    ],
)
def test_mqtt_5_errors_go_where_the_asker_listens(
    house: House, command: str, payload: bytes, code: str
) -> None:
    with_reply(house.broker.port, f"{REQUEST}/{command}", payload, "answers/me", b"x")
    seen = house.observer.saw(lambda one: one.topic == "answers/me")
    assert (seen.json["code"], seen.correlation) == (code, b"x")
    assert seen.json.get("transaction") == (7 if command == "nosuch" else None)


@pytest.mark.parametrize(
    "topic", ["esquirell/meter/main/state", "homeassistant/x", "$SYS/x", "esquirell"]
)
def test_an_answer_can_not_be_sent_where_it_would_deceive(house: House, topic: str) -> None:
    with_reply(house.broker.port, f"{REQUEST}/task/list", b"{}", topic, b"")
    seen = house.observer.saw(lambda one: one.topic == f"{RESPONSE}/task/list")
    assert seen.json["code"] == "invalid_payload"


def test_a_retained_command_is_not_run(house: House) -> None:
    house.observer.publish(f"{REQUEST}/schedule/remove", b'{"name": "fetch"}', retain=True)
    eventually(lambda: "was not run" in house.service.log)
    assert house.state()["name"] == "fetch"
    assert house.observer.of(f"{RESPONSE}/schedule/remove") == []
    house.observer.publish(f"{REQUEST}/schedule/remove", b"", retain=True)


def test_mosquitto_pub_is_enough(house: House) -> None:
    topic = "esquirell/schedule/fetch/set"
    port = str(house.broker.port)
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-t", topic, "-m", '{"every": 9}']
    subprocess.run(command, check=True, timeout=LIMIT_S)
    eventually(lambda: house.state()["every"] == 9)


def test_a_burst_is_answered_once_each(house: House) -> None:
    for number in range(BURST):
        house.observer.publish(
            f"{REQUEST}/schedule/set",
            json.dumps({"name": "fetch", "expires": number + 1, "transaction": number}).encode(),
        )
    topic = f"{RESPONSE}/schedule/set"
    eventually(lambda: len(house.observer.of(topic)) >= BURST, BURST_LIMIT_S)
    transactions = [one.json["transaction"] for one in house.observer.of(topic)]
    assert sorted(transactions) == list(range(BURST))
    eventually(lambda: house.state()["expires"] == BURST)
    assert len(house.observer.of(topic)) == BURST


def test_the_command_line_and_mqtt_change_a_schedule_at_the_same_time(house: House) -> None:
    tool = [sys.executable, "-m", "esquirell", "--config", str(house.service.config)]
    command = [*tool, "schedule", "set", "fetch", "--every", "7"]
    sent = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            sent += 1
            house.ask("schedule/set", name="fetch", expires=10 + sent)
    assert process.returncode == 0
    changed = house.listed("fetch")
    assert (changed["every"], changed["expires"]) == (7, 10 + sent)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(["name", "every", "cron", "meters", "args", "task", "enabled", "odd"])
malformed = st.binary(max_size=200) | st.dictionaries(fields, json_values, max_size=4).map(
    lambda data: json.dumps(data).encode()
)


def codes_of(command: str, payload: bytes) -> set[str]:
    """Return the codes of which one is right: of what names nothing there is one alone."""
    try:
        data = json.loads(payload.decode()) if payload.strip() else {}
        # NaN, and half a surrogate pair, are in no JSON that others could read.
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return {"invalid_json"}
    if not isinstance(data, dict):
        return {"invalid_payload"}
    if command == "nosuch":
        return {"unknown_command"}
    subject = data.get("task" if command == "task/run" else "name")
    if not isinstance(subject, str) or not subject:
        return {"invalid_payload"}
    return {"invalid_payload", "unknown_schedule", "unknown_meter", "unknown_task", "ok"}


def test_a_thousand_malformed_payloads_are_answered_each_with_its_code(house: House) -> None:
    commands = [
        "schedule/set",
        "schedule/add",
        "meter/test",
        "task/run",
        "nosuch",
        "schedule/reset",
    ]

    @settings(max_examples=1000)
    @given(st.sampled_from(commands), malformed)
    def send(command: str, payload: bytes) -> None:
        sent.append((command, payload))
        house.observer.publish(f"{REQUEST}/{command}", payload)

    sent: list[tuple[str, bytes]] = []
    send()

    def answers() -> list[Seen]:
        seen = [one for one in house.observer.messages if one.topic.startswith(RESPONSE)]
        return [one for one in seen if one.json["status"] != "accepted"]

    eventually(
        lambda: len(answers()) >= len(sent),
        BURST_LIMIT_S,
        lambda: f"{len(answers())} of {len(sent)}",
    )
    for command in commands:
        # Those of one command come in the order in which it was given.
        given_ = [payload for one, payload in sent if one == command]
        got = [
            str(one.json.get("code", "ok"))
            for one in answers()
            if one.topic == f"{RESPONSE}/{command}"
        ]
        assert len(got) == len(given_)
        wrong = [
            (payload, code)
            for payload, code in zip(given_, got, strict=True)
            if code not in codes_of(command, payload)
        ]
        assert wrong == []
    health = house.ask("health")["data"]
    assert health["healthy"], health["problems"]
    assert "Traceback" not in house.service.log


def test_too_large_a_payload_is_answered(house: House) -> None:
    house.observer.publish(f"{REQUEST}/fetch", b'{"x": "' + b"y" * 70_000 + b'"}')
    seen = house.observer.saw(lambda one: one.topic == f"{RESPONSE}/fetch")
    assert seen.json["code"] == "too_large"


def test_the_broker_restarts_in_the_middle(house: House) -> None:
    house.broker.restart()
    eventually(
        lambda: retained(house.broker.port).get("esquirell/bridge/state") == b'{"state":"online"}',
        40,
    )
    eventually(lambda: house.ask("health")["status"] == "ok")
