#!/usr/bin/env bash
# mosquitto 2.0.11 (Debian 12) with persistence: does a session outlast a restart of the broker?
#
# MQTT 5 has two separate things: Clean Start says whether an earlier session is thrown away, the
# Session Expiry Interval for how long the new one is kept (MQTT 5.0, 3.1.2.4 and 3.1.2.11.2).
# So a client that connects with Clean Start = 1 and an expiry of 600 s has a session that is to
# last 600 s after it has left.
#
# Guess: after a restart of the broker both clients below get the message that was sent while they
# were away.
# Seen: while the broker runs, both sessions are kept. On disk mosquitto 2.0.11 writes only those
# that began with Clean Start = 0: after its restart the other one is gone, with its subscription
# and the messages that waited, and nothing says so. A client that wants to throw away an old
# session and to have a lasting one needs two connections: one with Clean Start = 1, then one
# with 0.
#
# Needs Debian 12 (apt-get, dpkg-deb) and python3 with pip. Everything goes into a temporary folder.
set -euo pipefail
MOSQUITTO=2.0.11-1.2+deb12u2
PAHO=2.1.0

work=$(mktemp -d)
trap 'kill "$(cat "$work/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q "mosquitto=$MOSQUITTO" libdlt2 libwrap0 libnsl2 >/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
python3 -m pip install --quiet --target python "paho-mqtt==$PAHO"
export LD_LIBRARY_PATH="$work/root/usr/lib/$(uname -m)-linux-gnu" PYTHONPATH="$work/python"

cat >watch.py <<'PYTHON'
import pathlib
import socket
import subprocess
import threading
import time

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

work = pathlib.Path.cwd()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
lines = (f"listener {port} 127.0.0.1", "allow_anonymous true", "user root", "persistence true")
(work / "conf").write_text("\n".join((*lines, f"persistence_location {work}/", "")))


def start():
    broker = subprocess.Popen(
        [work / "root/usr/sbin/mosquitto", "-c", work / "conf"], stderr=subprocess.DEVNULL
    )
    (work / "pid").write_text(str(broker.pid))
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return broker
        time.sleep(0.1)
    raise SystemExit("mosquitto does not listen")


def visit(name, clean_start):
    """Connect, stay for a second, leave; return whether there was a session, and what came."""
    got, here, present = [], threading.Event(), []
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )

    def connected(_client, _data, flags, _code, _properties):
        present.append(flags.session_present)
        client.subscribe("t", qos=1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: here.set()
    client.on_message = lambda _client, _data, message: got.append(message.payload.decode())
    keep = Properties(PacketTypes.CONNECT)
    keep.SessionExpiryInterval = 600
    client.connect("127.0.0.1", port, clean_start=clean_start, properties=keep)
    client.loop_start()
    here.wait(10)
    time.sleep(1)
    client.disconnect()
    client.loop_stop()
    return present[0], got


def send(text):
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish("t", text, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


broker = start()
visit("began-clean", True)
visit("began-unclean", False)
send("one")
running = {name: visit(name, False)[1] for name in ("began-unclean",)}
# Its session is asked for with Clean Start = 0 only after the restart, or it would be another one.
send("two")
broker.terminate()
broker.wait(10)
broker = start()
restarted = {name: visit(name, False) for name in ("began-clean", "began-unclean")}
broker.terminate()
broker.wait(10)
print("while it ran, began-unclean got", running["began-unclean"])
for name, (present, got) in restarted.items():
    print(f"after the restart, {name}: session present {present}, got {got}")
assert running == {"began-unclean": ["one"]}
assert restarted["began-unclean"] == (True, ["two"])
assert restarted["began-clean"] == (False, []), "mosquitto keeps such sessions now"
PYTHON

echo "mosquitto $MOSQUITTO, paho-mqtt $PAHO"
python3 watch.py
