"""Backfills through a running service: asked for over MQTT, and on a schedule."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.house import House, house_of
from support.long_term_server import TOKEN, HomeAssistantDouble, serving
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.staged import ENERGY, StagedHistory, hours_ago, store
from support.waiting import eventually

from esquirell.domain.long_term import HOUR
from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade

SENSOR = "sensor.cellar"


@pytest.fixture
def double() -> Iterator[HomeAssistantDouble]:
    with serving(HomeAssistantDouble()) as double:
        double.add(SENSOR, f"esquirell_main_{ENERGY}", "kWh")
        yield double


@pytest.fixture
def history() -> StagedHistory:
    return StagedHistory(hours_ago(12), 12)


@pytest.fixture
def house(tmp_path: Path, double: HomeAssistantDouble, history: StagedHistory) -> Iterator[House]:
    """A service that has measured for twelve hours, and a Home Assistant that missed three."""
    database = tmp_path / "data" / "esquirell.db"
    database.parent.mkdir()
    upgrade(f"sqlite:///{database}")
    opened = Database(f"sqlite:///{database}")
    store(opened, history, history.during((0, 12)))
    opened.close()
    seen = 0.0
    for hour in range(12):
        seen = seen if hour in (4, 5, 6) else history.at_end(hour)
        double.rows[SENSOR][history.start + hour * HOUR] = {"state": seen, "sum": seen - 1000}
    token = tmp_path / "ha-token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    broker, server, device = Mosquitto(tmp_path), RedisProcess(tmp_path), simulated()

    def start(config: str) -> Service:
        access = f'[home_assistant]\nurl = "http://127.0.0.1:{double.port}"\ntoken_file = "{token}"'
        service = Service(tmp_path, f"{config}\n{access}\n")
        stack.callback(service.kill)
        service.start()
        return service

    with ExitStack() as stack:
        for process in (broker, server):
            process.start()
            stack.callback(process.stop)
        stack.callback(device.stop)
        table = meter_table("main", device.port)
        config = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=3600)
        yield stack.enter_context(house_of(start, config, broker))


def test_over_mqtt_and_on_a_schedule(
    house: House, double: HomeAssistantDouble, history: StagedHistory
) -> None:
    looked = house.finish("ha/backfill", meters=["main"], dry_run=True)
    assert looked["status"] == "ok"
    assert looked["data"]["hours"]["main"]["written"] == 3
    assert not double.sent("recorder/import_statistics")
    refused = house.ask("ha/backfill", meters=["nobody"])
    assert (refused["status"], refused["code"]) == ("error", "unknown_meter")
    refused = house.ask("ha/backfill", since="yesterday")
    assert (refused["status"], refused["code"]) == ("error", "invalid_payload")
    refused = house.ask("ha/undo")
    assert (refused["status"], refused["code"]) == ("error", "unknown_command")
    added = house.ask("schedule/add", name="night", task="backfill", cron="40 3 * * *", args={})
    assert added["status"] == "ok"
    ran = house.finish("schedule/run", name="night")
    assert ran["data"]["result"]["hours"]["main"]["written"] == 3
    start = history.start + 5 * HOUR
    row = double.rows[SENSOR][start]
    assert row["sum"] - double.rows[SENSOR][start - HOUR]["sum"] == pytest.approx(history.used(5))
    double.is_admin = False
    ended = house.finish("ha/backfill")
    assert ended["status"] == "error"
    assert "administrator" in ended["error"]
    eventually(lambda: TOKEN not in house.service.log)
