"""A running service with its servers and meters, and an observer that sends it commands."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.redis_server import RedisProcess
from support.service import QUICK, Service, configuration, meter_table, simulated
from support.waiting import eventually

Start = Callable[..., Service]
REQUEST = "esquirell/bridge/request"
RESPONSE = "esquirell/bridge/response"
EVERYTHING = ("esquirell/bridge/#", "esquirell/schedule/#", "esquirell/meter/#", "answers/#")


class House:
    """A running service and an MQTT client that observes and commands it."""

    def __init__(self, service: Service, broker: Mosquitto, observer: Observer) -> None:
        self.service = service
        self.broker = broker
        self.observer = observer

    def tell(self, command: str, payload: object = None) -> None:
        text = b"" if payload is None else json.dumps(payload).encode()
        self.observer.publish(f"{REQUEST}/{command}", text)

    def ask(self, command: str, **payload: object) -> dict[str, Any]:
        """Send a command and return its first answer."""
        transaction = str(uuid.uuid4())
        self.tell(command, payload | {"transaction": transaction})
        return self.answers(command, transaction)[0]

    def finish(self, command: str, **payload: object) -> dict[str, Any]:
        """Send a command and return its last answer."""
        transaction = str(uuid.uuid4())
        self.tell(command, payload | {"transaction": transaction})
        accepted, ended = self.answers(command, transaction, 2)
        assert accepted["status"] == "accepted", accepted
        return ended

    def answers(self, command: str, transaction: object, count: int = 1) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]]:
            seen = [one.json for one in self.observer.of(f"{RESPONSE}/{command}")]
            return [one for one in seen if one.get("transaction") == transaction]

        eventually(lambda: len(found()) >= count, what=f"{count} answers to {command}")
        return found()

    def listed(self, schedule: str) -> dict[str, Any]:
        """Return a schedule as the service knows it at this moment."""
        schedules = self.ask("schedule/list")["data"]["schedules"]
        return next(one for one in schedules if one["name"] == schedule)

    def last_command_at(self) -> float:
        """Return when the service took its last command, as unix time."""
        ((moment,),) = self.service.rows("SELECT max(at) FROM command_log")
        return int(str(moment)) / 1000

    def state(self, schedule: str = "fetch") -> dict[str, Any]:
        payload = retained(self.broker.port, f"esquirell/schedule/{schedule}/state")
        return dict(json.loads(next(iter(payload.values()), b"{}")))


@contextmanager
def house_of(start: Start, config: str, broker: Mosquitto) -> Iterator[House]:
    with Observer(broker.port, *EVERYTHING) as observer:
        service = start(config)
        observer.saw(lambda seen: seen.topic == "esquirell/schedule/fetch/state")
        observer.saw(lambda seen: seen.topic == "esquirell/meter/main/state")
        yield House(service, broker, observer)


@contextmanager
def whole_house(
    folder: Path, meters: Iterable[str] = ("main",), complete: Callable[[str], str] = str
) -> Iterator[House]:
    """Run a service with its own broker, Redis and simulated meters.

    `complete` may add to its configuration.
    """
    broker, server = Mosquitto(folder), RedisProcess(folder)
    devices = {name: simulated(name) for name in meters}

    def start(config: str) -> Service:
        service = Service(folder, config, program=QUICK)
        stack.callback(service.kill)
        service.start()
        return service

    with ExitStack() as stack:
        for process in (broker, server):
            process.start()
            stack.callback(process.stop)
        for device in devices.values():
            stack.callback(device.stop)
        tables = [meter_table(name, device.port) for name, device in devices.items()]
        config = configuration(tables, mqtt_port=broker.port, redis_url=server.url, every=60)
        yield stack.enter_context(house_of(start, complete(config), broker))
