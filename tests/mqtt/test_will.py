"""What stays behind when a process is killed."""

import signal
import subprocess
import sys
from typing import Literal

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.waiting import LIMIT_S

PROGRAM = """
import sys, time
from esquirell.mqtt.bridge import will_of
from esquirell.mqtt.client import Connection
from esquirell.mqtt.options import Options
from esquirell.mqtt.topics import Topics
options = Options("127.0.0.1", int(sys.argv[1]), protocol=sys.argv[2], client_id="bridge")
topics = Topics()
topic, will = (topics.bridge_state, will_of(topics)) if sys.argv[3] == "bridge" else ("other", None)
connection = Connection(options, will)
connection.retain(topic, {"state": "online"})
connection.start()
time.sleep(60)
"""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_killed_bridge_is_offline(broker: Mosquitto, protocol: Literal["5", "3.1.1"]) -> None:
    with Observer(broker.port) as observer:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(broker.port), protocol, "bridge"]
        )
        observer.saw(lambda seen: seen.json == {"state": "online"})
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
        observer.saw(lambda seen: seen.json == {"state": "offline"})
    assert retained(broker.port) == {"esquirell/bridge/state": b'{"state":"offline"}'}


def test_a_killed_worker_says_nothing_about_the_bridge(broker: Mosquitto) -> None:
    with Observer(broker.port) as observer:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(broker.port), "5", "worker"])
        observer.saw(lambda seen: seen.topic == "other")
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
    assert retained(broker.port) == {"other": b'{"state":"online"}'}
