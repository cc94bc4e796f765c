"""Other programs that read Tuya meters, from PyPI, asked over MQTT at the same pace.

Both forward raw datapoints; they neither decode, nor store, nor schedule.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.devices import KEY, PROTOCOL, Device
from benchmarks.environments import installed
from benchmarks.processes import Tree
from benchmarks.programs import Servers, ended, start

TUYA2MQTT = "tuya2mqtt==1.2.25"
PYRUSTUYABRIDGE = "pyrustuyabridge==0.4.4"
START_S = 60.0
# A message with a reading names this datapoint of the meters.
DATAPOINT = b'"101"'
BRIDGE = """
import sys, pyrustuyabridge
pyrustuyabridge.PyBridgeServer(
    mqtt_broker=sys.argv[1], mqtt_root_topic="rustuya", state_file=sys.argv[2], log_level="warn"
).start()
"""

Message = tuple[str, Mapping[str, Any]]


class Asker:
    """Asks a peer for each meter every so many seconds, and counts the answers with datapoints.

    `ready` is the topic on which the peer says that it listens.
    """

    def __init__(self, port: int, answers: str, ready: str) -> None:
        self.received = 0
        self._ready = ready
        self._listens = threading.Event()
        self._stopped = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(answers, 0), (ready, 0)])
        self._client.loop_start()

    def tell(self, messages: Sequence[Message]) -> None:
        """Publish some messages."""
        for topic, payload in messages:
            self._client.publish(topic, json.dumps(payload), 1)

    def ask(self, add: Sequence[Message], get: Sequence[Message], every_s: int) -> None:
        """Make the meters known, then ask for each again and again, in the background."""

        def repeat() -> None:
            self._listens.wait(START_S)
            self.tell(add)
            while not self._stopped.wait(every_s - time.time() % every_s):
                self.tell(get)

        threading.Thread(target=repeat, daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._stopped.set()
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.topic == self._ready:
            self._listens.set()
        elif DATAPOINT in message.payload:
            self.received += 1


class Peer:
    """A running peer; `readings` are the messages with datapoints that it published."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", asker: Asker) -> None:
        self.name = name
        self.tree = Tree(process.pid)
        self._asker = asker

    def readings(self) -> int:
        """Count the messages."""
        return self._asker.received


@contextmanager
def tuya2mqtt(
    folder: Path, servers: Servers, meters: Sequence[Device], every_s: int
) -> Iterator[Peer]:
    """Run tuya2mqtt. Raises MissingError when it can't be installed."""
    python = installed(TUYA2MQTT)
    command = [str(python), "-m", "tuya2mqtt", "--mode", "foreground", "--config", "none.json"]
    where = ["--broker-hostname", "127.0.0.1", "--broker-port", str(servers.mqtt_port)]
    process = start([*command, *where], folder)
    asker = Asker(servers.mqtt_port, "tuya2mqtt/extra/device/+", "tuya2mqtt")
    add = [
        ("tuya2mqtt/intro/device/add", _added(one) | {"version": float(PROTOCOL)}) for one in meters
    ]
    get = [("tuya2mqtt/intro/device/get", {"id": one.device_id}) for one in meters]
    with _asked(process, asker, add, get, every_s):
        yield Peer("tuya2mqtt", process, asker)


@contextmanager
def bridge(
    folder: Path, servers: Servers, meters: Sequence[Device], every_s: int
) -> Iterator[Peer]:
    """Run pyrustuyabridge. Raises MissingError when it can't be installed."""
    python = installed(PYRUSTUYABRIDGE)
    broker = f"mqtt://127.0.0.1:{servers.mqtt_port}"
    process = start([str(python), "-c", BRIDGE, broker, str(folder / "state.json")], folder)
    asker = Asker(servers.mqtt_port, "rustuya/event/#", "rustuya/bridge/config")
    add = [
        ("rustuya/command", {"action": "add", **_added(one), "version": PROTOCOL}) for one in meters
    ]
    get = [("rustuya/command", {"action": "get", "id": one.device_id}) for one in meters]
    with _asked(process, asker, add, get, every_s):
        yield Peer("pyrustuyabridge", process, asker)


def _added(device: Device) -> dict[str, Any]:
    return {"id": device.device_id, "ip": device.address, "key": KEY}


@contextmanager
def _asked(
    process: "subprocess.Popen[bytes]",
    asker: Asker,
    add: Sequence[Message],
    get: Sequence[Message],
    every_s: int,
) -> Iterator[None]:
    try:
        asker.ask(add, get, every_s)
        yield
    finally:
        asker.close()
        ended(process)
