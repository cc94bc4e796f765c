"""Commands over MQTT when something ends, restarts or is older meanwhile."""

import json
import signal
from pathlib import Path

from support.house import EVERYTHING, REQUEST, House, Start, house_of
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.redis_server import RedisProcess
from support.service import configuration, meter_table, simulated
from support.waiting import eventually

# After the end of the active one, another bridge or beat is active.
TAKEOVER_S = 30.0


def test_changes_outlast_every_restart(
    start: Start, config: str, broker: Mosquitto, server: RedisProcess
) -> None:
    config = config.replace("every = 1", "every = 60")
    with house_of(start, config, broker) as house:
        house.ask("schedule/set", name="fetch", every=2, meters=["main"])
        house.ask("schedule/add", name="night", cron="0 3 * * *")
        server.client.flushall()
        before = house.service.readings()
        eventually(lambda: house.service.readings() >= before + 2)
        house.service.kill()
    server.kill()
    server.start()
    with house_of(start, config, broker) as house:
        listed = {one["name"]: one for one in house.ask("schedule/list")["data"]["schedules"]}
        assert listed["fetch"]["every"] == 2
        assert listed["fetch"]["origin"] == "user"
        assert listed["night"]["cron"] == "0 3 * * *"
        house.ask("schedule/remove", name="fetch")
        house.service.stop()
    with Observer(broker.port, *EVERYTHING) as observer:
        service = start(config, name="third")
        again = House(service, broker, observer)
        eventually(lambda: again.state("night").get("name") == "night")
        eventually(lambda: again.state() == {})


def test_the_end_is_reported_after_a_restart(start: Start, config: str, broker: Mosquitto) -> None:
    with house_of(start, config.replace("every = 1", "every = 60"), broker) as house:
        house.service.kill()
        house.observer.forget()
        house.tell("fetch", {"transaction": "while away"})
        start(config, name="again")
        statuses = [one["status"] for one in house.answers("fetch", "while away", 2)]
        assert statuses == ["accepted", "ok"]


def test_of_a_burst_none_is_lost_when_the_broker_restarts_in_the_middle(
    start: Start, tmp_path: Path, server: RedisProcess
) -> None:
    keeping = ["allow_anonymous true", "persistence true", f"persistence_location {tmp_path}/"]
    broker = Mosquitto(tmp_path, keeping)
    broker.start()
    config = configuration([], mqtt_port=broker.port, redis_url=server.url, every=3600)
    service = start(config)
    eventually(lambda: "esquirell/schedule/fetch/state" in retained(broker.port))

    def recorded() -> list[int]:
        found = service.rows("SELECT request FROM command_log WHERE status = 'ok'")
        return sorted(json.loads(str(row[0]))["transaction"] for row in found)

    service.signal(signal.SIGSTOP)
    with Observer(broker.port, "nothing") as observer:
        for number in range(100):
            change = {"name": "fetch", "expires": number + 1, "transaction": number}
            observer.publish(f"{REQUEST}/schedule/set", json.dumps(change).encode())
    service.signal(signal.SIGCONT)
    eventually(recorded)
    broker.restart()
    eventually(lambda: len(recorded()) >= 100, what=lambda: f"{len(recorded())} of 100")
    assert recorded() == list(range(100))
    broker.stop()


def test_two_bridges_take_turns(start: Start, config: str, broker: Mosquitto) -> None:
    start(config, "worker")
    start(config, "beat")
    first = start(config, "bridge", "first")
    eventually(lambda: "up as bridge" in first.log)
    second = start(config, "bridge", "second")
    eventually(lambda: "stands by" in second.log)
    first.kill()
    eventually(lambda: "up as bridge" in second.log, TAKEOVER_S)
    with Observer(broker.port, *EVERYTHING) as observer:
        house = House(second, broker, observer)
        assert house.finish("fetch")["status"] == "ok"


def test_two_beats_take_turns(start: Start, config: str) -> None:
    worker = start(config, "worker")
    first = start(config, "beat", "first")
    eventually(lambda: worker.readings() > 0)
    second = start(config, "beat", "second")
    eventually(lambda: "stands by" in second.log)
    first.kill()
    eventually(lambda: "this beat is active now" in second.log, TAKEOVER_S)
    before = worker.readings()
    eventually(lambda: worker.readings() > before + 1)


def test_mqtt_311_does_as_well(start: Start, broker: Mosquitto, server: RedisProcess) -> None:
    device = simulated()
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=60)
    old = config.replace("mqtt.port", 'mqtt.protocol = "3.1.1"\nmqtt.port')
    with house_of(start, old, broker) as house:
        assert house.finish("fetch")["status"] == "ok"
    device.stop()
