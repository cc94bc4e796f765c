"""A second service beside the first."""

from collections.abc import Callable
from pathlib import Path

from support.mosquitto import Mosquitto
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]


def test_a_bridge_alone_yields_to_a_complete_service(start: Start, config: str) -> None:
    alone = start(config, "bridge", "alone")
    eventually(lambda: "up as bridge" in alone.log)
    whole = start(config)
    whole.await_readings(1)
    assert alone.wait() == 75
    second = start(config, "bridge", "second")
    eventually(lambda: "stands by" in second.log)


def test_a_second_run_on_the_same_database_is_refused(start: Start, config: str) -> None:
    first = start(config)
    first.await_readings(1)
    second = start(config, name="second")
    assert second.wait() == 1
    assert "another service uses this state directory" in second.log
    assert "Traceback" not in second.log
    first.await_readings(1)
    # Its locks are deleted, as by a cleaner of temporary files.
    for lock in (first.database.parent / "run.lock", Path(f"{first.database}.lock")):
        lock.unlink()
    second.start()
    assert second.wait() == 1
    assert second.log.count("another service uses this state directory") == 2
    first.await_readings(1)


def test_a_second_run_on_the_same_database_from_another_directory_is_refused(
    start: Start, config: str, tmp_path: Path
) -> None:
    first = start(config)
    first.await_readings(1)
    (tmp_path / "other").mkdir()
    second = Service(tmp_path / "other", f'database.url = "sqlite:///{first.database}"\n{config}')
    second.start()
    assert second.wait() == 1
    assert "another service uses this database" in second.log


def test_a_second_run_in_the_same_state_directory_is_refused(
    start: Start, broker: Mosquitto, device: SimulatedMeter, tmp_path: Path
) -> None:
    """With a database of its own it would end the Redis of the first, for ever and ever."""
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port)
    first = start(config)
    first.await_readings(1)
    other_database = f'database.url = "sqlite:///{tmp_path / "other.db"}"\n'
    second = start(other_database + config, name="second")
    assert second.wait() == 1
    assert "another service uses this state directory" in second.log
    first.await_readings(3)
    assert "Redis" not in first.log


def test_a_second_run_with_another_database_on_the_same_redis_is_refused(
    start: Start, config: str, tmp_path: Path
) -> None:
    """They would share out the meters, and each would store the readings of some only."""
    first = start(config)
    first.await_readings(1)
    (tmp_path / "other").mkdir()
    second = Service(tmp_path / "other", config)
    second.start()
    assert second.wait() == 1
    assert "another number at the end of redis.url" in second.log
    assert "Traceback" not in second.log
    first.await_readings(3)
