"""The shipped access control list in a real mosquitto, with the real service behind it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from support.mosquitto import Mosquitto, set_password
from support.mqtt_observer import Observer
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import LIMIT_S, eventually

ACL = Path(__file__).parents[2] / "config" / "mosquitto.acl"
PASSWORDS = {"esquirell": "of the bridge", "homeassistant": "of the house", "viewer": "of a guest"}
SCHEDULE = "esquirell/schedule/fetch/state"


class Home:
    """A broker that follows the list, and a service that it serves."""

    def __init__(self, broker: Mosquitto, service: Service) -> None:
        self.broker = broker
        self.service = service

    def user(self, name: str, *filters: str) -> Observer:
        return Observer(self.broker.port, *filters, credentials=(name, PASSWORDS[name]))

    def denials(self, topic: str) -> int:
        lines = self.broker.log.splitlines()
        return sum("Denied PUBLISH" in line and f"'{topic}'" in line for line in lines)

    def refuses(self, user: Observer, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Return whether a message was denied, by the broker's own word."""
        before = self.denials(topic)
        user.publish(topic, payload, retain=retain)
        return eventually(lambda: self.denials(topic)) > before


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    redis = RedisProcess(folder)
    redis.start()
    broker = Mosquitto(folder, access_settings(folder))
    broker.start()
    device = simulated()
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port, redis_url=redis.url, every=3600)
    users = f"mqtt.username = 'esquirell'\nmqtt.password = '{PASSWORDS['esquirell']}'\n"
    service = Service(folder, users + config)
    service.start()
    yield Home(broker, service)
    service.kill()
    device.stop()
    broker.kill()
    redis.stop()


def access_settings(folder: Path) -> list[str]:
    passwords, acl = folder / "passwd", folder / "acl"
    for user, password in PASSWORDS.items():
        set_password(passwords, user, password)
    acl.write_text(ACL.read_text())
    acl.chmod(0o600)
    return ["allow_anonymous false", f"password_file {passwords}", f"acl_file {acl}"]


def test_the_service_is_denied_nothing(home: Home) -> None:
    with home.user("homeassistant", "esquirell/#", "homeassistant/#", "answers/#") as house:
        house.saw(lambda one: one.topic == "esquirell/meter/main/state")
        house.saw(lambda one: one.topic == SCHEDULE)
        house.saw(lambda one: one.topic == "esquirell/bridge/health")
        house.saw(lambda one: one.topic == "homeassistant/device/esquirell_main/config")
        ask(house, "schedule/add", {"name": "often", "every": 1800})
        house.saw(lambda one: one.topic == "esquirell/bridge/event" and "often" in str(one.json))
        ask(house, "schedule/remove", {"name": "often"})
        fetch_with_answer_to(home, "answers/house")
        house.saw(lambda one: one.topic == "answers/house" and one.json["status"] == "ok")
        house.forget()
        house.publish("homeassistant/status", b"online")
        house.saw(lambda one: one.topic == "homeassistant/device/esquirell/config")
    assert "Denied" not in home.broker.log
    assert "does not let us" not in home.service.log


def fetch_with_answer_to(home: Home, topic: str) -> None:
    command = ["mosquitto_pub", "-p", str(home.broker.port), "-V", "mqttv5"]
    login = ["-u", "homeassistant", "-P", PASSWORDS["homeassistant"]]
    message = ["-q", "1", "-t", "esquirell/meter/main/fetch", "-n"]
    wish = ["-D", "publish", "response-topic", topic]
    subprocess.run([*command, *login, *message, *wish], check=True, timeout=LIMIT_S)


def ask(user: Observer, command: str, payload: dict[str, object]) -> None:
    user.publish(f"esquirell/bridge/request/{command}", json.dumps(payload).encode())
    user.saw(lambda one: one.topic.endswith(f"response/{command}") and one.json["status"] == "ok")


def test_home_assistant_commands_on_every_topic_made_for_it(home: Home) -> None:
    with home.user("homeassistant", "esquirell/#") as house:
        house.publish("esquirell/meter/main/fetch", b"")
        house.saw(lambda one: one.topic.endswith("response/fetch") and one.json["status"] == "ok")
        house.publish("esquirell/schedule/fetch/set", b'{"every":1800}')
        house.saw(lambda one: one.topic == SCHEDULE and one.json["every"] == 1800)
        house.publish("esquirell/schedule/fetch/run", b"")
        house.saw(lambda one: one.topic.endswith("schedule/run") and one.json["status"] == "ok")


@pytest.mark.parametrize("topic", ["meter/main/state", "meter/main/availability", "bridge/state"])
def test_home_assistant_can_not_pretend_to_be_a_meter(home: Home, topic: str) -> None:
    with home.user("homeassistant", f"esquirell/{topic}") as house:
        before = house.saw(lambda one: bool(one.payload)).payload
        assert home.refuses(house, f"esquirell/{topic}", b'{"state":"forged"}', retain=True)
    with home.user("viewer", f"esquirell/{topic}") as viewer:
        assert viewer.saw(lambda _: True).payload == before


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("esquirell/meter/main/fetch", b""),
        ("esquirell/schedule/fetch/set", b'{"every":1}'),
        ("esquirell/schedule/fetch/run", b""),
        ("esquirell/bridge/request/schedule/remove", b'{"name":"fetch"}'),
        ("homeassistant/status", b"online"),
    ],
)
def test_a_viewer_may_change_nothing(home: Home, topic: str, payload: bytes) -> None:
    with home.user("viewer", "esquirell/#") as viewer:
        before = viewer.saw(lambda one: one.topic == SCHEDULE).json
        assert home.refuses(viewer, topic, payload)
    with home.user("viewer", SCHEDULE) as viewer:
        assert viewer.saw(lambda _: True).json["every"] == before["every"]


def test_a_viewer_sees_only_our_topics(home: Home) -> None:
    with home.user("viewer", "#") as viewer:
        seen = viewer.saw(lambda one: one.topic == "esquirell/bridge/info")
        assert b"of the bridge" not in seen.payload
        assert all(one.topic.startswith("esquirell/") for one in viewer.messages)


def test_a_user_with_3_1_1_is_held_to_it_too(home: Home) -> None:
    login = ("viewer", PASSWORDS["viewer"])
    old = MQTTProtocolVersion.MQTTv311
    with Observer(home.broker.port, SCHEDULE, protocol=old, credentials=login) as viewer:
        viewer.saw(lambda _: True)
        assert home.refuses(viewer, "esquirell/meter/main/fetch", b"")
