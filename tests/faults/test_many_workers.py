"""Three hundred meters, three workers and PostgreSQL: evenly shared, and nothing lost by a kill."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.db_postgres import PostgresServer
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import KEY, Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

METERS = 300
EVERY_S = 30
POLLS = 4
# In the midst of a poll: each meter takes so long for its answer then.
SLOW_S = 2.0
STATES = "/proc/net/tcp"
ESTABLISHED = "01"
READ = """SELECT name, count(*) FROM reading JOIN meter ON id = meter_id
          WHERE measured_at >= %s AND measured_at < %s GROUP BY name"""


class Meter(SimulatedMeter):
    """Answers slowly on demand."""

    pause_s = 0.0

    def __init__(self, name: str) -> None:
        super().__init__(f"id-{name}", KEY, "3.4", self._measured)

    def _measured(self) -> dict[str, int]:
        time.sleep(Meter.pause_s)
        return {"101": 2361, "131": 106421}


@pytest.fixture
def street() -> Iterator[Mapping[str, Meter]]:
    meters = {f"m{number:03}": Meter(f"m{number:03}") for number in range(METERS)}
    for one in meters.values():
        one.start()
    yield meters
    Meter.pause_s = 0.0
    for one in meters.values():
        one.stop()


def lines_of(services: Sequence[Service], street: Mapping[str, Meter]) -> list[set[str]]:
    """Return the meters to which each process holds a line, as the kernel knows it."""
    names = {one.port: name for name, one in street.items()}
    sockets: dict[str, str] = {}
    for line in Path(STATES).read_text().splitlines()[1:]:
        fields = line.split()
        port = int(fields[2].rpartition(":")[2], 16)
        if fields[3] == ESTABLISHED and port in names:
            sockets[f"socket:[{fields[9]}]"] = names[port]
    held = []
    for service in services:
        assert service.process is not None
        folder = Path(f"/proc/{service.process.pid}/fd")
        links = [str(one.readlink()) for one in folder.iterdir() if one.is_symlink()]
        held.append({sockets[one] for one in links if one in sockets})
    return held


def test_three_workers_share_three_hundred_meters_and_one_is_killed(
    tmp_path: Path, postgres: PostgresServer, street: Mapping[str, Meter]
) -> None:
    broker, redis = Mosquitto(tmp_path), RedisProcess(tmp_path)
    broker.start()
    redis.start()
    database = postgres.new_database()
    tables = [meter_table(name, one.port) for name, one in street.items()]
    config = f'database.url = "{postgres.url(database)}"\n' + configuration(
        tables, mqtt_port=broker.port, redis_url=redis.url, every=EVERY_S
    )
    services = [
        Service(tmp_path, config, role, name)
        for role, name in (("run", "run"), ("worker", "second"), ("worker", "third"))
    ]
    figures: dict[str, object] = {}
    try:
        with psycopg.connect(postgres.url(database).replace("+psycopg", "")) as connection:
            measure(services, street, connection, figures)
    finally:
        for service in services:
            service.kill()
        redis.stop()
        broker.kill()
        print(figures)  # noqa: T201 - what this is for


def measure(
    services: list[Service],
    street: Mapping[str, Meter],
    connection: psycopg.Connection,
    figures: dict[str, object],
) -> None:
    connection.autocommit = True

    def held() -> list[set[str]]:
        return lines_of(services, street)

    def read(begin: float, end: float) -> Counter[str]:
        moments = (datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC))
        return Counter(dict(connection.execute(READ, moments).fetchall()))

    services[0].start()
    eventually(lambda: len(lines_of(services[:1], street)[0]) == METERS, 120)
    for service in services[1:]:
        service.start()
    began = time.monotonic()
    eventually(lambda: max(map(len, held())) <= 0.4 * METERS, 120, lambda: str(shares(held())))
    figures["shared_after_s"] = round(time.monotonic() - began, 1)
    eventually(lambda: sum(map(len, held())) == METERS, 60, lambda: str(shares(held())))

    begin = next_poll()
    seen = []
    for poll in range(POLLS):
        sleep_until(begin + poll * EVERY_S + EVERY_S / 2)
        seen.append(shares(held()))
        times = read(begin + poll * EVERY_S, begin + poll * EVERY_S + EVERY_S / 2)
        assert len(times) == METERS, f"poll {poll}: {METERS - len(times)} meters were not read"
        assert set(times.values()) == {1}
    figures["shares"] = seen
    assert max(map(max, seen)) <= 0.4 * METERS

    Meter.pause_s = SLOW_S
    begin = next_poll()
    killed = services.pop()
    (lost,) = lines_of([killed], street)
    before = {name: street[name].answers for name in lost}
    sleep_until(begin)
    eventually(lambda: sum(street[name].answers > before[name] for name in lost) > len(lost) / 2)
    killed.kill()
    died, died_at = time.monotonic(), time.time()
    Meter.pause_s = 0.0
    eventually(lambda: len(read(begin, died_at + 60)) == METERS, 60)
    rest_s = time.monotonic() - died
    eventually(lambda: sum(map(len, held())) == METERS, 120, lambda: str(shares(held())))
    followed_s = time.monotonic() - died
    figures |= {"lost": len(lost), "rest_read_after_s": round(rest_s, 1)}
    figures |= {"followed_after_s": round(followed_s, 1), "shares_of_two": shares(held())}
    assert rest_s <= 10
    assert followed_s <= 30


def shares(held: Sequence[set[str]]) -> list[int]:
    return sorted(map(len, held))


def next_poll() -> float:
    """Return the unix time of the next poll, which is some seconds ahead."""
    return (time.time() + 3) // EVERY_S * EVERY_S + EVERY_S


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))
