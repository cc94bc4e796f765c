"""What `esquirell health` says of a service in trouble, in the words of the part that fails."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import Said, esquirell_process
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

# So long may a fault go unnamed, and be named when it is over.
WITHIN_S = 30.0
# It is given up 20 s after it was heard of last, and the report follows.
VANISHED_WITHIN_S = 45.0


def health(service: Service, *arguments: str) -> Said:
    return esquirell_process("--config", str(service.config), "health", *arguments)


def sound(service: Service) -> None:
    eventually(lambda: health(service).code == 0, WITHIN_S, "health says that all is well")


def named(service: Service, words: str) -> None:
    def is_named() -> bool:
        said = health(service)
        return said.code == 1 and bool(re.search(words, said.sentence))

    eventually(is_named, WITHIN_S, f"health says {words}")


def test_a_module_of_tasks_can_not_be_imported(
    start: Callable[..., Service], config: str, tmp_path: Path
) -> None:
    module = tmp_path / "broken_tasks.py"
    module.write_text("import no_such_library\n")
    service = start(f'tasks.modules = ["broken_tasks"]\n{config}')
    eventually(lambda: service.readings() > 1)
    sentence = "module broken_tasks can't be imported, so its tasks are missing: ModuleNotFound"
    named(service, sentence)
    assert sentence in esquirell_process("--config", str(service.config), "doctor").out
    module.write_text("")
    assert service.stop() == 0
    service.start()
    sound(service)


def test_redis_refuses_a_command_that_no_test_of_it_tries(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    service = start(config)
    eventually(lambda: service.readings() > 1)
    server.client.acl_setuser("default", enabled=True, commands=["-zadd"])
    named(service, "Redis refuses: The user executing the script can't run this command")
    server.client.acl_setuser("default", enabled=True, commands=["+zadd"])
    sound(service)


def test_the_state_directory_is_taken_away_and_put_back(
    start: Callable[..., Service], config: str, tmp_path: Path
) -> None:
    service = start(config)
    eventually(lambda: service.readings() > 1)
    folder, aside = tmp_path / "data", tmp_path / "aside"
    folder.rename(aside)
    before = len(service.log.splitlines())
    named(service, f"The directory {folder} of the database is gone: mount its disk again")
    eventually(lambda: _spooled(service) > 5)
    assert not folder.exists()
    aside.rename(folder)
    sound(service)
    eventually(lambda: "the state directory" in service.log and "is back" in service.log)
    lines = service.log.splitlines()[before:]
    errors = [line for line in lines if "ERROR" in line]
    assert len(errors) == 1, errors
    assert f"the state directory {folder} is gone" in errors[0]
    assert len(lines) < 10, lines
    assert "Traceback" not in service.log
    gaps = service.rows(
        "SELECT max(gap) FROM (SELECT measured_at - lag(measured_at) OVER (ORDER BY measured_at) "
        "AS gap FROM reading)"
    )
    assert int(str(gaps[0][0])) < 3500, "each second has its reading"


def test_a_start_without_the_database_that_was_there(
    start: Callable[..., Service], config: str, tmp_path: Path
) -> None:
    service = start(config)
    eventually(lambda: service.readings() > 1)
    assert service.stop() == 0
    for part in (tmp_path / "data").glob("esquirell.db*"):
        part.unlink()
    again = start(config, name="again")
    assert again.wait() == 2
    (line,) = [line for line in again.log.splitlines() if "is missing" in line]
    assert "restore FILE" in line
    assert "db upgrade --afresh" in line
    assert not service.database.exists()
    options = ("--config", str(service.config), "db", "upgrade")
    assert esquirell_process(*options).code == 2
    assert esquirell_process(*options, "--afresh").code == 0
    service.start()
    eventually(lambda: service.readings() > 1)
    assert service.stop() == 0
    shutil.rmtree(tmp_path / "data")
    missing = start(config, name="missing")
    assert missing.wait() == 2
    assert f"the state directory {tmp_path / 'data'} is missing" in missing.log
    assert f"mkdir {tmp_path / 'data'}" in missing.log
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    service.start()
    eventually(lambda: service.readings() > 1)


def test_each_process_is_shown_and_one_that_vanished_is_named(
    start: Callable[..., Service], config: str, broker: Mosquitto
) -> None:
    first = start(config, "worker", "first")
    second = start(config, "worker", "second")
    start(config, "beat", "beat")
    start(config, "beat", "standby")
    start(config, "bridge")
    eventually(lambda: first.readings() > 1)
    eventually(lambda: len(_report(broker)["processes"]) == 5, WITHIN_S)
    processes = _report(broker)["processes"]
    assert sorted(role for one in processes for role in one["roles"]) == [
        *("beat", "beat", "bridge", "worker", "worker")
    ]
    assert [one["queues"] for one in processes if one["roles"] == ["worker"]] == [["default"]] * 2
    eventually(lambda: [one for one in _report(broker)["processes"] if "standing_by" in one])
    second.kill()
    eventually(
        lambda: (
            [one["roles"] for one in _report(broker)["processes"] if "gone_s" in one]
            == [["worker"]]
        ),
        VANISHED_WITHIN_S,
    )
    said = health(first)
    assert said.code == 0
    assert re.search(r"worker on \S+ disappeared 0 min ago", said.out)


def _report(broker: Mosquitto) -> Any:  # noqa: ANN401 - JSON is anything
    held = retained(broker.port).get("esquirell/bridge/health", b'{"processes": []}')
    return json.loads(held)


def _spooled(service: Service) -> int:
    found = json.loads(health(service, "--json").out)["database"]
    return int(found["spooled"])


@pytest.fixture
def many(broker: Mosquitto, server: RedisProcess, device: SimulatedMeter) -> str:
    tables = [meter_table(f"meter-{number:03}", device.port) for number in range(300)]
    return configuration(tables, mqtt_port=broker.port, redis_url=server.url, every=3600)


def test_reports_stay_small_with_many_meters(
    start: Callable[..., Service], many: str, broker: Mosquitto
) -> None:
    start(many)
    topics = ("esquirell/bridge/health", "esquirell/bridge/info")
    eventually(lambda: all(topic in retained(broker.port) for topic in topics))
    sizes = {topic: len(retained(broker.port)[topic]) for topic in topics}
    assert sizes[topics[0]] < 8_000, sizes
    assert sizes[topics[1]] < 18_000, sizes
