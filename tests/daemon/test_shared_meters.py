"""Several processes share the meters: each meter is read and published once."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, is_end
from support.redis_server import RedisProcess
from support.service import KEY, Service, configuration, meter_table, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]
ANSWER = "esquirell/bridge/response/#"


def test_meters_of_a_worker_that_disappeared_are_read_by_the_dispatcher(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    """It is said to be there, owns the meter and takes nothing: as after a kill."""
    plain = configuration(
        [meter_table("main", device.port)], mqtt_port=broker.port, redis_url=server.url, every=3600
    )
    service = start(plain)
    eventually(lambda: service.readings("main"), what=lambda: service.log)
    server.client.zadd("esquirell:lines:members:", {"gone": time.time() + 3600})
    eventually(lambda: server.client.hgetall("esquirell:lines:owners:"))
    server.client.hset("esquirell:lines:owners:", "main", "gone")
    changed_at = int(time.time())

    def has_looked() -> bool:
        """Whether the service has registered, and thus read the owners, since the change."""
        soon = changed_at + 600  # before the time of the worker that is gone
        return bool(server.client.zcount("esquirell:lines:members:", changed_at + 1, soon))

    eventually(has_looked)
    with Observer(broker.port, ANSWER) as observer:
        began = time.monotonic()
        observer.publish("esquirell/bridge/request/fetch", b"{}")
        answer = observer.saw(is_end).json
    assert answer["status"] == "ok"
    assert time.monotonic() - began < 10


def test_two_workers_share_the_meters_and_each_line_has_one_holder(
    start: Start, broker: Mosquitto, server: RedisProcess
) -> None:
    devices = [simulated(f"m{number}") for number in range(8)]
    tables = [meter_table(f"m{number}", one.port) for number, one in enumerate(devices)]
    plain = configuration(tables, mqtt_port=broker.port, redis_url=server.url, every=2)
    service = start(plain)
    eventually(lambda: all(service.readings(f"m{number}") for number in range(8)))
    start(plain, "worker", "second")

    def shares() -> list[int]:
        owners = server.client.hgetall("esquirell:lines:owners:")
        return sorted(Counter(owners.values()).values())

    eventually(lambda: shares() == [4, 4], 50, what=lambda: str(shares()))
    before = [service.readings(f"m{number}") for number in range(8)]
    eventually(
        lambda: all(service.readings(f"m{number}") >= before[number] + 3 for number in range(8))
    )
    assert "is being read by another" not in service.log
    for one in devices:
        one.stop()


def test_reports_reach_the_broker_once_from_two_workers_also_after_redis_was_flushed(
    start: Start, broker: Mosquitto, server: RedisProcess
) -> None:
    values = {f"m{number}": {"101": 2300} for number in range(6)}
    devices = {
        name: SimulatedMeter(f"id-{name}", KEY, "3.4", lambda dps=dps: dps)  # type: ignore[misc]
        for name, dps in values.items()
    }
    for device in devices.values():
        device.start()
    tables = [meter_table(name, device.port) for name, device in devices.items()]
    plain = configuration(tables, mqtt_port=broker.port, redis_url=server.url, every=3600)
    services = [start(plain), start(plain, "worker", "second")]

    def shares() -> list[int]:
        owners = server.client.hgetall("esquirell:lines:owners:")
        return sorted(Counter(owners.values()).values())

    def report(tenths: int) -> None:
        """Let each meter report a voltage; each report is published once, by either worker."""
        topics = "esquirell/meter/+/state"
        with Observer(broker.port, topics) as observer:
            observer.forget()
            for name, device in devices.items():
                values[name]["101"] = tenths
                device.report()

            def seen() -> list[tuple[str, str]]:
                published = [(one.topic, one.json) for one in observer.messages if not one.retained]
                volts = tenths / 10
                return [(at, it["measured_at"]) for at, it in published if it["voltage_a"] == volts]

            eventually(lambda: len(dict(seen())) == len(devices), what=lambda: services[0].log)
            time.sleep(0.3)
            assert len(set(seen())) == len(seen())

    eventually(lambda: shares() == [3, 3], 50, what=lambda: str(shares()))
    eventually(lambda: all(services[0].readings(name) for name in devices))
    report(2311)
    server.client.flushall()
    report(2322)
    eventually(lambda: shares() == [3, 3], 30, what=lambda: str(shares()))
    report(2333)
    assert "is being read by another" not in services[0].log + services[1].log
    for device in devices.values():
        device.stop()


class SlowMeter(SimulatedMeter):
    """Answers slowly on demand."""

    def __init__(self, name: str) -> None:
        self.pause_s = 0.0
        super().__init__(f"id-{name}", KEY, "3.4", self._measured)

    def _measured(self) -> dict[str, int]:
        time.sleep(self.pause_s)
        return {"101": 2361}


@pytest.mark.parametrize("role", ["run", "worker"])
def test_meters_left_by_a_worker_killed_in_a_poll_are_read_by_the_other(
    start: Start, broker: Mosquitto, server: RedisProcess, role: str
) -> None:
    """Whichever of the two has divided the poll."""
    devices = {name: SlowMeter(name) for name in (f"m{number}" for number in range(6))}
    for device in devices.values():
        device.start()
    tables = [meter_table(name, device.port) for name, device in devices.items()]
    plain = configuration(tables, mqtt_port=broker.port, redis_url=server.url, every=3600)
    services = {"run": start(plain)}
    eventually(lambda: all(services["run"].readings(name) for name in devices), 50)
    services["worker"] = start(plain, "worker", "second")

    def owned(service: Service) -> list[str]:
        assert service.process is not None
        worker = f"-{service.process.pid}-"
        owners = server.client.hgetall("esquirell:lines:owners:")
        return [str(name) for name, owner in owners.items() if worker in str(owner)]

    eventually(lambda: len(owned(services["worker"])) == 3, 50, what=lambda: services["run"].log)
    killed, other = services.pop(role), next(iter(services.values()))
    lost = owned(killed)
    before = {name: device.answers for name, device in devices.items()}
    stored = {name: other.readings(name) for name in devices}
    for device in devices.values():
        device.pause_s = 1.5
    with Observer(broker.port, ANSWER) as observer:
        observer.publish("esquirell/bridge/request/fetch", b"{}")
        eventually(lambda: all(devices[name].answers > before[name] for name in lost))
        killed.kill()
    began = time.monotonic()
    for device in devices.values():
        device.pause_s = 0.0
    eventually(
        lambda: all(other.readings(name) > stored[name] for name in devices),
        20,
        what=lambda: other.log,
    )
    assert time.monotonic() - began < 10
    for device in devices.values():
        device.stop()


def test_roles_apart_publish_each_availability_once(
    start: Start, broker: Mosquitto, server: RedisProcess
) -> None:
    """The worker publishes what its polls say, the bridge only what was not published yet."""
    devices = {name: simulated(name) for name in ("attic", "main", "yard")}
    tables = [meter_table(name, device.port) for name, device in devices.items()]
    plain = configuration(tables, mqtt_port=broker.port, redis_url=server.url)
    try:
        with Observer(broker.port, "esquirell/meter/+/availability") as observer:
            services = [start(plain, role) for role in ("bridge", "beat", "worker")]
            eventually(
                lambda: all(services[0].readings(name) >= 3 for name in devices),
                what=lambda: services[2].log,
            )
            # One goes, is offline, and comes back: the bridge looks each ten seconds.
            devices["yard"].stop()
            eventually(lambda: said_of("yard", observer).count("offline") > 0)
            devices["yard"] = simulated("yard", port=devices["yard"].port)
            eventually(lambda: said_of("yard", observer)[-1] == "online")
            before = services[0].readings()
            eventually(lambda: services[0].readings() >= before + 22)
            messages = [one for one in observer.messages if not one.retained]
    finally:
        for device in devices.values():
            device.stop()
    for name in devices:
        said = [one.payload for one in messages if one.topic.split("/")[2] == name]
        assert len(said) > 3
        assert [payload for payload, times in Counter(said).items() if times > 1] == []


def said_of(meter: str, observer: Observer) -> list[str]:
    """Return the states that were published of a meter, in their order."""
    return [one.json["state"] for one in observer.of(f"esquirell/meter/{meter}/availability")]
