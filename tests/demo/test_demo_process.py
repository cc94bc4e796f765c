"""The whole path, on real parts: what the demo counts is what is there."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from support.demo_process import SERVERS, DemoProcess, Place, demo_command
from support.mqtt_observer import Observer
from support.ports import free_port
from support.terminal import Terminal
from support.waiting import eventually

Key = tuple[str, int]

# One each second: the first of them is stored by then, and what came a second and a half after it.
LEAST_STATES = 5


@dataclass
class Scenario:
    demo: DemoProcess
    meters: list[str]
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5

    def look(self, observer: Observer) -> None:
        """Read the database while the demo runs."""
        self.observer = observer
        topics = [f"esquirell/meter/{meter}/state" for meter in self.meters]
        eventually(lambda: all(len(observer.of(one)) >= LEAST_STATES for one in topics))
        # The view without a terminal prints a line each few seconds.
        self.demo.said("(published; house )")
        self.rows = {
            (str(row["name"]), int(str(row["measured_at"]))): row for row in self.demo.rows()
        }

    @property
    def states(self) -> dict[Key, dict[str, Any]]:
        seen = (message for message in self.observer.messages if message.topic.endswith("/state"))
        return {
            (message.topic.split("/")[2], milliseconds(message.json["measured_at"])): message.json
            for message in seen
            if message.topic.startswith("esquirell/meter/")
        }


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def options(*more: str) -> list[str]:
    return ["--port", str(free_port()), "--every", "1", *more]


STORED_WITHIN_MS = 1500
# A meter reports every second. Reports after the last round, until its line is closed, are all
# stored, and the newest is published, as a retained topic holds one reading.
WHILE_IT_ENDS = 5


@pytest.fixture(scope="module")
def scenarios() -> Iterator[dict[str, Scenario]]:
    """Run demos side by side, one of them without any server installed."""
    with ExitStack() as stack:
        three = ["house", "workshop", "barn"]
        bundled = DemoProcess(*options("--protocol", "3.3"), hidden=SERVERS)
        usual = DemoProcess(*options())
        several = DemoProcess(*options("--protocol", "3.5", "--meters", "3"))
        found = {
            "bundled": Scenario(bundled, ["house"], MQTTProtocolVersion.MQTTv311),
            "usual": Scenario(usual, ["house"]),
            "three": Scenario(several, three),
        }
        for scenario in found.values():
            stack.enter_context(scenario.demo)
        observers = {
            name: stack.enter_context(Observer(scenario.demo.port, protocol=scenario.protocol))
            for name, scenario in found.items()
        }
        for name, scenario in found.items():
            scenario.look(observers[name])
        for scenario in found.values():
            scenario.demo.process.send_signal(signal.SIGINT)
        for scenario in found.values():
            scenario.demo.end()
        yield found


@pytest.fixture(params=["bundled", "usual", "three"])
def scenario(request: pytest.FixtureRequest, scenarios: dict[str, Scenario]) -> Scenario:
    return scenarios[request.param]


def test_the_counts_are_true(scenario: Scenario) -> None:
    assert scenario.demo.end() == 0, scenario.demo.err
    stored, published = scenario.demo.counted()
    assert published == len(scenario.states)
    assert 0 <= stored - published <= WHILE_IT_ENDS * len(scenario.meters)


def test_published_and_stored_readings_are_equal(scenario: Scenario) -> None:
    assert scenario.rows.keys() <= scenario.states.keys()
    for key, row in scenario.rows.items():
        state = scenario.states[key]
        stored = {name: value for name, value in row.items() if name in state and value is not None}
        published = {name: value for name, value in state.items() if value is not None}
        del stored["measured_at"], published["measured_at"], published["diagnostics"]
        assert stored == published
        assert published["active_power"] == sum(published[f"active_power_{one}"] for one in "abc")


def test_nothing_published_is_missing_in_the_database(scenario: Scenario) -> None:
    newest = {
        meter: max(at for name, at in scenario.rows if name == meter) for meter in scenario.meters
    }
    # What a meter reports by itself is stored within a second or two, a poll at once.
    settled = {key for key in scenario.states if key[1] <= newest[key[0]] - STORED_WITHIN_MS}
    assert settled
    assert settled <= scenario.rows.keys()


def test_nothing_is_left(scenario: Scenario) -> None:
    assert scenario.demo.leftovers() == []


def test_it_says_which_servers_it_uses(scenarios: dict[str, Scenario]) -> None:
    assert "MQTT broker: iotcore" in scenarios["bundled"].demo.out
    assert "valkey-server (Python package)" in scenarios["bundled"].demo.out
    assert "/mosquitto on 127.0.0.1:" in scenarios["usual"].demo.out


def test_without_a_terminal_it_prints_lines(scenarios: dict[str, Scenario]) -> None:
    assert "\x1b" not in scenarios["three"].demo.out


def test_it_ends_by_itself_after_the_seconds_asked_for() -> None:
    with DemoProcess(*options("--seconds", "10")) as demo:
        assert demo.end() == 0, demo.err
        stored, published = demo.counted()
        assert published > 0
        assert 0 <= stored - published <= WHILE_IT_ENDS
        assert demo.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_a_summary(number: signal.Signals) -> None:
    with DemoProcess(*options()) as demo:
        with Observer(demo.port) as observer:
            observer.saw(lambda seen: seen.topic == "esquirell/meter/house/state")
        demo.process.send_signal(number)
        assert demo.end() == 0, demo.err
        stored, published = demo.counted()
        assert published > 0
        assert 0 <= stored - published <= WHILE_IT_ENDS
        assert demo.leftovers() == []


def test_the_live_view_ends_with_ctrl_c() -> None:
    with Place() as place:
        settings = place.environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        variables = [f"{name}={value}" for name, value in settings.items()]
        # As the terminal's foreground process, which alone Ctrl-C has to reach.
        in_foreground = ["env", *variables, "setsid", "--ctty", "--wait"]
        with Terminal([*in_foreground, *demo_command(*options())]) as terminal:
            terminal.answer("house/state", "\x03")
            assert terminal.finish() == 0
        for shown in ("phase A", "next run in", "mosquitto_sub -h 127.0.0.1", "house/state"):
            assert shown in terminal.text
        assert "nothing is left behind" in terminal.text.rpartition("\x1b[?1049l")[2]
        assert place.leftovers() == []
