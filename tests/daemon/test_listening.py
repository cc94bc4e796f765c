"""A running service takes in what its meters report."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.redis_server import RedisProcess
from support.service import DPS, KEY, Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]
STATE = "esquirell/meter/main/state"


class House:
    """A meter whose voltage a test changes; it reports on demand."""

    def __init__(self) -> None:
        self.dps = dict(DPS)
        self.meter = SimulatedMeter("id-main", KEY, "3.4", lambda: self.dps)
        self.meter.start()

    def change(self, volts: int) -> None:
        self.dps = self.dps | {"101": volts * 10}
        self.meter.report()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.meter.stop()


def test_a_report_is_published_within_a_second_and_one_a_period_is_stored(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port) + "\nstore_every = 3600"
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=3600)
    with Observer(broker.port, STATE) as observer:
        service = start(settings)
        observer.saw(lambda seen: seen.json["diagnostics"]["push"] == "on")
        took = []
        for volts in range(221, 241):
            began = time.monotonic()
            house.change(volts)
            observer.saw(lambda seen, volts=volts: seen.json["voltage_a"] == volts)  # type: ignore[misc]
            took.append(time.monotonic() - began)
        shape = observer.messages[-1].json
        eventually(lambda: service.readings() >= 1)
        assert service.readings() <= 2
        assert service.stop() == 0
    assert sorted(took)[len(took) // 2] < 1.0
    assert shape["energy_import"] == DPS["131"] / 100
    # What was reported last is stored at the end.
    query = "SELECT voltage_a FROM reading ORDER BY measured_at DESC LIMIT 1"
    assert service.rows(query) == [(240.0,)]


SLOW = """
import time

from celery import shared_task


@shared_task
def sleep():
    time.sleep(3600)
"""


def test_held_back_reports_are_stored_and_published_at_shutdown(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House, tmp_path: Path
) -> None:
    (tmp_path / "slow_house_tasks.py").write_text(SLOW)
    table = meter_table("main", house.meter.port) + "\nstore_every = 3600\npublish_every = 3600"
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=3600)
    settings = f'tasks.modules = ["slow_house_tasks"]\ntasks.over_mqtt = true\n{settings}'
    with Observer(broker.port, STATE, "esquirell/bridge/response/#") as observer:
        service = start(settings)
        eventually(lambda: service.readings() >= 1, what=lambda: service.log)
        observer.publish("esquirell/bridge/request/task/run", b'{"task": "slow_house_tasks.sleep"}')
        observer.saw(lambda seen: seen.topic != STATE and seen.json["status"] == "accepted")
        eventually(lambda: house.meter.connected)
        house.change(237)
        eventually(lambda: house.meter.reports)
        time.sleep(1)
        assert observer.of(STATE) == []
        service.stop()
        observer.saw(lambda seen: seen.topic == STATE and seen.json["voltage_a"] == 237)
    assert "ended without waiting any longer for slow_house_tasks.sleep (" in service.log
    assert service.rows("SELECT 1 FROM reading WHERE voltage_a = 237")


def test_without_push_the_line_is_closed_between_polls(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port) + "\npush = false"
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=30)
    with Observer(broker.port, STATE) as observer:
        service = start(settings)
        observer.saw(lambda seen: seen.json["diagnostics"]["push"] == "off")
        eventually(lambda: not house.meter.connected)
        house.change(100)
        time.sleep(0.5)
        assert all(seen.json["voltage_a"] != 100 for seen in observer.messages)
        assert service.stop() == 0
    assert house.meter.reports == 0


def test_a_meter_that_is_disabled_is_left_alone(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port) + "\nenabled = false"
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=1)
    service = start(settings)
    eventually(lambda: "up as" in service.log)
    time.sleep(3)
    assert (house.meter.answers, service.readings()) == (0, 0)
    assert service.stop() == 0


def test_reports_need_neither_redis_nor_a_schedule(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port) + "\nstore_every = 1"
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=3600)
    with Observer(broker.port, STATE) as observer:
        service = start(f"{settings}\nenabled = false")
        observer.saw(lambda seen: seen.json["diagnostics"]["push"] == "on")
        server.kill()
        time.sleep(1.5)
        house.change(231)
        observer.saw(lambda seen: seen.json["voltage_a"] == 231)
        query = "SELECT voltage_a FROM reading WHERE voltage_a = 231"
        eventually(lambda: service.rows(query), what=lambda: service.log)
    assert house.meter.answers == 1


def test_a_meter_that_is_disabled_while_the_service_runs_is_let_go(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port)
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=1)
    service = start(settings)
    eventually(lambda: service.readings() >= 2)
    service.config.write_text(settings.replace(table, f"{table}\nenabled = false"))
    service.signal(signal.SIGHUP)
    eventually(lambda: not house.meter.connected)
    answers = house.meter.answers
    time.sleep(3)
    assert (house.meter.connected, house.meter.answers) == (False, answers)


def test_increments_are_summed_up_and_a_kill_forgets_none(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    house.dps = {"1": True, "17": 5, "18": 435, "19": 1000, "20": 2300}
    table = meter_table("main", house.meter.port).replace("owon_pc321", "plug")
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=3600)

    def add(observer: Observer, thousandths: int) -> dict[str, object]:
        house.dps = house.dps | {"17": thousandths}
        house.meter.report()
        seen = observer.saw(
            lambda seen: (
                seen.json["diagnostics"]["add_ele"] == thousandths
                and seen.json["diagnostics"]["energy_source"] == "increments"
            )
        )
        return dict(seen.json)

    with Observer(broker.port, STATE) as observer:
        service = start(settings)
        observer.saw(lambda seen: seen.json["diagnostics"]["energy_source"] == "estimated")
        begin = add(observer, 100)["energy_import"]
        assert isinstance(begin, float)
        assert add(observer, 90)["energy_import"] == pytest.approx(begin + 0.09, abs=1e-6)
        service.kill()
        observer.forget()
        again = start(settings, "run", "again")
        # Its answer holds the last increment once more, which says nothing.
        first = observer.saw(lambda seen: seen.json["energy_import"] is not None)
        assert first.json["energy_import"] == pytest.approx(begin + 0.09, abs=1e-6)
        after = add(observer, 30)
        assert after["energy_import"] == pytest.approx(begin + 0.12, abs=1e-6)
        assert again.stop() == 0


def test_a_pool_of_processes_has_its_meters_read_by_the_worker_that_holds_their_lines(
    start: Start, broker: Mosquitto, server: RedisProcess, house: House
) -> None:
    table = meter_table("main", house.meter.port)
    settings = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=1)
    with Observer(broker.port, STATE) as observer:
        start(settings, "beat")
        pool = start(settings, "worker --pool prefork", "pool")
        eventually(lambda: pool.readings() >= 3, what=lambda: pool.log)
        house.change(199)
        observer.saw(lambda seen: seen.json["voltage_a"] == 199)
    assert house.meter.reports == 1
    assert "is being read by another" not in pool.log
