"""`esquirell doctor`: the machine, the servers, the database."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.cli import Home, esquirell, findings, meter
from support.db_samples import START, sample
from support.mosquitto import Mosquitto, set_password
from support.redis_server import RedisProcess
from support.service import KEY
from support.terminal import Terminal

from esquirell.broker import diagnosis
from esquirell.broker.connection import Address, connect
from esquirell.broker.processes import Presence
from esquirell.cli.checks import machine, servers
from esquirell.daemon.lock import RunLock
from esquirell.domain.process import Process
from esquirell.domain.reading import Ledger, Reading
from esquirell.runtime import page_address


@pytest.fixture
def guarded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    set_password(folder / "passwords", "esquirell", "right")
    broker = Mosquitto(folder, ["allow_anonymous false", f"password_file {folder}/passwords"])
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.usefixtures("house")
def test_all_is_well() -> None:
    said = esquirell("doctor")
    assert (said.code, said.err) == (0, "")
    marks = [line[0] for line in said.out.splitlines()]
    assert set(marks) == {"✓", "!"}
    assert marks.count("!") == 1
    assert "! service: nothing runs → start it: esquirell run" in said.out
    assert set(findings()) == {
        *("system", "configuration", "state directory", "disk", "clock", "database"),
        *("redis", "mqtt", "service"),
        *(f"meter main: {what}" for what in ("profile", "local key", "reading")),
    }


@pytest.mark.usefixtures("house")
def test_another_configuration_than_the_machines_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = tmp_path / "machines.toml"
    monkeypatch.setattr(servers, "MACHINE", machines)
    assert "has another configuration" not in esquirell("doctor").out
    machines.touch()
    assert f"configuration: esquirell --config {machines} doctor" in esquirell("doctor").out


def test_looking_makes_nothing(home: Home) -> None:
    home.configure(meter())
    found = findings()
    assert found["state directory"][:2] == (
        "fine",
        f"{home.path / 'data'} is created at the first start",
    )
    assert found["database"][0] == "fine"
    assert home.files == {"esquirell.toml"}


def test_a_faulty_configuration_is_the_first_finding(home: Home) -> None:
    home.write("mqtt.prt = 1")
    mark, message, remedy = findings()["configuration"]
    assert (mark, remedy) == ("fault", "correct it, or write a new one: esquirell init --force")
    assert "the nearest known key is port" in message


def test_unreachable_servers_are_reported_with_a_remedy(home: Home) -> None:
    home.configure(meter())
    found = findings()
    assert {check for check, (mark, *_) in found.items() if mark == "fault"} == {
        "redis",
        "mqtt",
        "meter main: reading",
    }
    assert "systemctl start redis-server" in str(found["redis"][2])
    assert "can't be reached" in found["mqtt"][1]
    _, message, remedy = found["meter main: reading"]
    assert message == "main (127.0.0.1:1) can't be reached (Connection refused)"
    assert str(remedy).startswith("check that it has power and Wi-Fi")


def test_without_redis_a_service_is_alive_and_its_work_unknown(home: Home) -> None:
    home.configure(meter())
    home.store()
    lock = RunLock(home.database.with_name("esquirell.db.lock"))
    lock.take()
    try:
        found = findings()["service"]
    finally:
        lock.release()
    message = "esquirell run is alive; what it does is unknown without Redis"
    assert found == ("advice", message, "correct Redis first")


def test_warnings_and_what_others_can_see(house: Home) -> None:
    for path in (house.config, house.database):
        path.chmod(0o644)
    house.database.parent.chmod(0o755)
    said = esquirell("doctor", "--json")
    assert (said.code, said.err) == (0, "")
    found = findings()
    mark, message, remedy = found["configuration"]
    assert mark == "advice"
    assert message.endswith(f"other users can read it: chmod 600 {house.config.name}")
    assert str(remedy).startswith("follow it")
    assert found["database"][2] == f"chmod 600 {house.database}"
    assert found["state directory"][2] == f"chmod 700 {house.database.parent}"


def test_doubtful_values_are_worth_a_look(house: Home) -> None:
    house.store([replace(sample("main"), ledger=Ledger(at=START))])
    assert findings()["meter main: values"] == ("fine", "plausible", None)
    warned = Ledger(at=START + timedelta(minutes=1), warnings=("active_power is odd",))
    house.store([replace(sample("main", 60), ledger=warned)])
    mark, message, remedy = findings()["meter main: values"]
    assert (mark, message) == ("advice", "active_power is odd")
    assert remedy


def test_a_counter_that_stands_still_is_found_by_its_power(house: Home) -> None:
    began = datetime.now(UTC) - timedelta(hours=4)
    moments = [began + timedelta(minutes=5 * number) for number in range(48)]
    values = {"active_power": 2000.0, "energy_import": 12.3}
    house.store([Reading("main", moment, values, ledger=Ledger(at=moment)) for moment in moments])
    assert esquirell("db", "rollup").code == 0
    mark, message, remedy = findings()["meter main: values"]
    assert mark == "advice"
    assert "counted 0.00 kWh, where its power says" in message
    assert remedy == "compare with the meter's display and its profile"


def test_a_damaged_database(house: Home) -> None:
    house.database.write_bytes(b"no database " * 1000)
    mark, message, _ = findings()["database"]
    assert mark == "fault"
    assert "esquirell db restore FILE" in message


def test_a_clock_that_is_behind_the_newest_reading(house: Home) -> None:
    house.store([sample("main", timedelta(days=36500).total_seconds())])
    mark, message, remedy = findings()["clock"]
    assert mark == "fault"
    assert "the newest reading is of 2126-" in message
    assert "timedatectl" in str(remedy)


def test_paths_in_a_container_are_called_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "container"
    monkeypatch.setattr(page_address, "CONTAINER", (mark,))
    assert "container" not in machine.system().message
    mark.touch()
    assert machine.system().message.endswith("the paths below are those inside it")


def test_the_clock_is_shown_in_the_configured_zone() -> None:
    morning = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
    finding = machine.clock(morning, None, "Europe/Warsaw", synchronized=None)
    assert finding.message == "2026-07-01 08:00:00 (Europe/Warsaw)"


def test_a_clock_that_was_never_set() -> None:
    finding = machine.clock(START.replace(year=2000), None, "UTC", synchronized=True)
    assert not finding.ok


@pytest.mark.parametrize(("synchronized", "mark"), [(True, "✓"), (None, "✓"), (False, "!")])
def test_a_clock_that_nothing_synchronizes(synchronized: bool | None, mark: str) -> None:
    finding = machine.clock(datetime.now(UTC), None, "UTC", synchronized=synchronized)
    assert finding.mark == mark
    assert finding.remedy is None or "timedatectl" in finding.remedy


def test_without_systemd_the_service_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.synchronized() is None


@pytest.mark.parametrize(("answer", "known"), [("yes", True), ("no", False), ("", None)])
def test_systemd_is_asked(
    answer: str, known: bool | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "timedatectl"
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.synchronized() is known


@pytest.mark.parametrize(
    ("said", "too_old"),
    [("6.0.16", True), ("6.2.0", False), ("7.0.15", False), ("8.0", False), ("unknown", False)],
)
def test_an_old_redis(said: str, too_old: bool) -> None:
    facts = diagnosis.facts_of({"redis_version": said})
    assert facts.too_old is too_old
    finding = servers.judge(facts)
    assert finding.ok is not too_old


def test_a_redis_that_takes_long_is_advice() -> None:
    finding = servers.judge(diagnosis.facts_of({}, diagnosis.slowness(2.0)))
    assert finding.ok
    assert finding.message == "Redis takes 2.0 s to answer: polls are late"
    assert finding.remedy == "check the way to redis.url"
    assert diagnosis.slowness(0.5) == ""


def test_a_key_with_a_space(home: Home) -> None:
    home.configure(meter(local_key="local_key = '0123456789 abcde'"))
    mark, message, remedy = findings()["meter main: local key"]
    assert mark == "fault"
    assert "'single quotes'" in str(remedy)
    assert "0123456789" not in message


def test_a_key_file_that_others_can_read(home: Home) -> None:
    key = home.path / "main.key"
    key.write_text("0123456789abcdef\n")
    key.chmod(0o644)
    home.configure(meter(local_key='local_key_file = "main.key"'))
    assert findings()["configuration"][0] == "advice"
    assert "main.key holds a secret" in findings()["configuration"][1]


@pytest.mark.usefixtures("house")
def test_a_redis_that_refuses_to_write(server: RedisProcess) -> None:
    server.client.replicaof("127.0.0.1", "1")
    mark, said, _ = findings()["redis"]
    assert (mark, "read only replica" in said) == ("fault", True)
    server.client.replicaof("NO", "ONE")
    assert findings()["redis"][0] == "fine"


@pytest.mark.usefixtures("house")
def test_a_redis_that_throws_tasks_away(server: RedisProcess) -> None:
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    assert findings()["redis"][0] == "advice"
    server.client.config_set("maxmemory", "64mb")
    mark, _, remedy = findings()["redis"]
    assert (mark, remedy) == ("fault", "set maxmemory-policy noeviction in its configuration")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"mqtt__username": "esquirell", "mqtt__password": "wrong"}, "refuses the user name"),
        ({"mqtt__username": "esquirell", "mqtt__password": "right"}, "accepts the connection"),
        ({}, "refuses the user name or the password"),
    ],
)
def test_a_broker_that_requires_a_login_is_reported(
    home: Home, guarded_broker: Mosquitto, keys: dict[str, str], told: str
) -> None:
    home.configure(mqtt__port=guarded_broker.port, **keys)
    mark, message, _ = findings()["mqtt"]
    assert told in message
    assert (mark == "fine") == ("accepts" in told)


def test_keys_that_others_can_read_are_reported(home: Home) -> None:
    (home.path / "devices.json").write_text("[]")
    (home.path / "main.key").write_text(KEY)
    (home.path / "devices.json").chmod(0o644)
    (home.path / "main.key").chmod(0o600)
    home.configure(meter())
    mark, message, remedy = findings()["keys"]
    assert (mark, remedy) == ("advice", f"chmod 600 {home.path / 'devices.json'}")
    assert message.startswith("other users can read")


def test_the_remaining_cloud_budget_is_shown(home: Home) -> None:
    account = """
[cloud]
api_key = "a"
api_secret = "b"
requests_per_day = 100
"""
    home.configure(meter(transport='transport = "cloud"'), account)
    mark, message, remedy = findings()["cloud"]
    assert mark == "advice"
    assert message == (
        "0 of 100 requests today, 0 of 26000 this month; the schedules need 1440 a day"
    )
    assert remedy == "give cloud meters a schedule of their own, such as every = 300"


def test_a_queue_without_a_worker(house: Home, server: RedisProcess) -> None:
    far = meter("far").replace("[[meters]]", '[[meters]]\nqueue = "yard"')
    with house.config.open("a") as config:
        config.write(f"\n{far}\n")
    client = connect(Address(server.url))
    presence = Presence(client, "garage-2")
    worker = Process("garage", ("worker", "worker@yard"), "2026-11-22T10:15:00Z")
    presence.announce(worker, ["worker"])
    mark, message, remedy = findings()["queues"]
    assert (mark, message) == ("fault", "no worker serves yard")
    assert "esquirell worker --queue yard" in str(remedy)
    presence.announce(worker, worker.roles)
    assert findings()["queues"] == ("fine", "each has a worker", None)
    client.close()


def test_an_own_redis_is_not_there_before_the_service(home: Home) -> None:
    home.configure(redis__url="embedded")
    mark, message, _ = findings()["redis"]
    assert mark == "fine"
    assert message.endswith("started by esquirell run")


@pytest.mark.usefixtures("house")
def test_in_a_terminal_marks_are_coloured() -> None:
    with Terminal([sys.executable, "-m", "esquirell", "doctor"]) as terminal:
        assert terminal.finish() == 0
    assert "\x1b[32m✓\x1b[0m system: " in terminal.text
