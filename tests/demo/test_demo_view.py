"""What is shown: figures, lines in a terminal, and what a listener makes of odd messages."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.waiting import eventually

from esquirell.demo.home import Home
from esquirell.demo.own_house import House, picture
from esquirell.demo.own_house import line as line_of
from esquirell.demo.plan import Plan
from esquirell.demo.servers import Broker, Page, Servers
from esquirell.demo.state import DemoState, Facts, Planned, Tally, clock
from esquirell.demo.views import Screen, figure, messages, readings
from esquirell.demo.watch import TimedMessage, Watch, WatchState
from esquirell.domain.schedule import Schedule
from esquirell.runtime.unconfigured import Connection, Topics, connection
from esquirell.settings import MqttSettings

STATE: dict[str, Any] = {
    "measured_at": "2026-11-22T10:15:00.123Z",
    "active_power_a": -1234.0,
    "active_power": -911.0,
    "voltage_a": 231.25,
    "energy_import": None,
}
FACTS = Facts(
    Plan(seconds=90, meters=1),
    ["house"],
    Servers(
        "/usr/bin/redis-server",
        Broker("/usr/sbin/mosquitto", (), "5"),
        1883,
        Page(8155, "page-password"),
    ),
    Home(Path("/tmp/esquirell-0123abcd")),  # noqa: S108 - a name to show, nothing is made there
)


def drawn(facts: Facts, scene: DemoState) -> list[str]:
    console = Console(file=io.StringIO(), width=80, height=24)
    picture = Screen(facts, console).picture(scene)
    return ["".join(part.text for part in line).rstrip() for line in console.render_lines(picture)]


def scene(states: dict[str, Any], planned: Sequence[Planned] = ()) -> DemoState:
    heard = [
        TimedMessage(datetime.now(UTC), f"esquirell/{number}", "{}" * 99) for number in range(50)
    ]
    return DemoState(42.4, WatchState(states, 7, 50, tuple(heard)), Tally(7, 7), planned)


def connection_to(broker: Mosquitto) -> Connection:
    return connection(MqttSettings(host="127.0.0.1", port=broker.port))


def test_figures_have_the_decimals_of_their_quantity() -> None:
    assert figure(STATE, "active_power_a") == "-1234"
    assert figure(STATE, "voltage_a") == "231.2"


@pytest.mark.parametrize("value", [None, "twelve", {}, True, 10**400, float("nan")])
def test_a_value_that_is_not_a_number_is_absent(value: object) -> None:
    assert figure({"current": value}, "current") == "·"
    assert figure({}, "current") == "·"


def test_durations() -> None:
    assert [clock(seconds) for seconds in (0, 42.9, 61, 3723)] == [
        "0:00",
        "0:42",
        "1:01",
        "1:02:03",
    ]


def test_the_view_fills_a_small_terminal_and_cuts_nothing_but_messages() -> None:
    fetch = Planned(Schedule(name="fetch", every=2), 0.4)
    lines = drawn(FACTS, scene({"house": STATE}, [fetch]))
    assert len(lines) == 24
    assert "Tuya protocol 3.4" in lines[0]
    assert lines[0].endswith("0:42 of 1:30")
    assert lines[10].startswith("fetch: every 2 s, next run in 1 s ")
    assert lines[10].endswith(" 7 readings stored, 7 published")
    cut = [line for line in lines if "…" in line]
    assert cut == [line for line in lines if " esquirell/" in line and line[0].isdigit()]
    assert "mosquitto_sub -h 127.0.0.1 -p 1883 -t 'esquirell/#' -v" in lines
    assert lines[-1] == "Ctrl-C ends the demo and removes everything"


def test_schedules_that_a_user_changed_are_shown_as_they_are() -> None:
    nightly = Planned(Schedule(name="night", cron="0 3 * * *"), 3600.0)
    paused = Planned(Schedule(name="fetch", every=2, enabled=False), None)
    text = "\n".join(drawn(FACTS, scene({"house": STATE}, [paused, nightly])))
    assert "fetch: every 2 s, disabled" in text
    assert "night: at 0 3 * * *, next run in 3600 s" in text


def test_many_meters_leave_room_for_the_rest() -> None:
    names = [f"house{number}" for number in range(30)]
    facts = Facts(Plan(meters=30), names, FACTS.servers, FACTS.home)
    lines = drawn(facts, scene(dict.fromkeys(names, STATE)))
    assert len(lines) == 24
    assert any(line.startswith("+ ") and line.rstrip().endswith("more") for line in lines)
    assert lines[-1] == "Ctrl-C ends the demo and removes everything"


FULL = {
    "energy_import": 23566.94,
    "energy_export": 11645.06,
    "active_power": -5911.0,
    "current": 25.6,
    **{f"active_power_{one}": -5911.0 for one in "abc"},
    **{f"voltage_{one}": 231.2 for one in "abc"},
}
PLUG = {"active_power": 598.2, "voltage": 232.4, "energy_import": 0.05}


def table(states: Mapping[str, Mapping[str, object]], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(readings(states, list(states), 10, console))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("names", [["house"], ["house", "greenhouse"]])
def test_no_name_and_no_number_is_broken_in_a_narrow_terminal(names: list[str], width: int) -> None:
    text = table(dict.fromkeys(names, FULL), width)
    assert "…" not in text
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    for shown in (*names, "-5911", "23566.94"):
        assert shown in text


def test_a_plug_has_its_voltage_in_the_table_and_no_phases_of_its_own() -> None:
    row = table({"house": FULL, "plug": PLUG}, 80).splitlines()[2]
    assert row.split() == ["plug", "·", "·", "·", "598", "232", "0.05", "·"]
    assert "phase" not in table({"plug": PLUG}, 80)


def test_a_listener_counts_each_reading_once_and_ignores_other_messages(broker: Mosquitto) -> None:
    topic = "esquirell/meter/house/state"
    payloads = [
        b'{"measured_at":"2"}',
        b'{"measured_at":"2"}',
        b"\xff",
        b"",
        b"[]",
        b"{}",
        b"[" * 50_000,
    ]
    watching = Watch(connection_to(broker), Topics(), "here")
    with watching as watch, Observer(broker.port) as neighbour:
        for payload in [*payloads, b'{"measured_at":"3"}']:
            neighbour.publish(topic, payload)
        eventually(lambda: watch.sight().messages == len(payloads) + 1)
        assert watch.sight().readings == 2
        assert watch.sight().states == {"house": {"measured_at": "3"}}


def test_ones_own_house_is_shown_as_it_is_published(broker: Mosquitto) -> None:
    console = Console(file=io.StringIO(), width=90, height=24)
    house = House(["house", "barn"], "broker:1883")
    sight = WatchState({"house": STATE}, 7, 50, ())
    lines = console.render_lines(picture(house, sight, 61.0, console))
    text = ["".join(part.text for part in line).rstrip() for line in lines]
    assert "esquirell watch  broker:1883" in text[0]
    assert text[0].endswith("1:01")
    assert any(line.startswith("house") and "-1234" in line for line in text)
    assert any("nothing yet from barn" in line for line in text)
    assert len(text) <= 24
    assert "house -911 W" in line_of(house, sight)
    hostile = TimedMessage(datetime.now(UTC), "esquirell/x", "\x1b[2J\n" * 9)
    shown = next(iter(messages([hostile], 1))).plain
    assert shown.endswith(" esquirell/x" + " \\x1b[2J" * 9)
    with Watch(connection_to(broker), Topics(), "x", echo=False) as watch:
        assert watch.sight().readings == 0
