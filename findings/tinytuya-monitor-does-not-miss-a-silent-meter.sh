#!/usr/bin/env bash
# tinytuya 1.20.0 brings a Monitor: it holds a line to each device, sends heartbeats along it, tells a callback when
# a line was lost and, if it is asked to, connects again.
#
# Guess: a meter that lost its power or the WLAN, and so says nothing any more and closes nothing, is reported as
# lost after two or three heartbeats that it did not answer.
# Seen: it never is. The answers are not looked for, only whether a heartbeat could be handed to the kernel. After
# ten unanswered ones the device is watched as before; only TCP's own patience, a quarter of an hour on Linux
# and for ever where the other end is alive but deaf, ends the line. Who shows values must watch their age.
#
# The deaf meter is a socket on this machine. Needs python3 with pip and access to PyPI; everything goes into a
# temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install --disable-pip-version-check "tinytuya==1.20.0" "cryptography==50.0.2"

cat >try.py <<'PYTHON'
import socket

import tinytuya

print("tinytuya", tinytuya.version)
meter = socket.create_server(("127.0.0.1", 0))
device = tinytuya.Device("eb0123456789abcdefghij", "127.0.0.1", "0123456789abcdef", version=3.3, persist=True)
device.port = meter.getsockname()[1]
lost = []
monitor = tinytuya.Monitor(
    on_disconnect=lambda device, error: lost.append(error), heartbeat_interval=0.1, auto_reconnect=True
)
monitor.add(device)
line, _ = meter.accept()
line.settimeout(10)
monitor.start()
heard = b""
while heard.count(b"\x00\x00\x55\xaa") < 10:
    heard += line.recv(4096)
print("heartbeats unanswered: 10, lines lost:", len(lost))
watched = device.socket is not None
monitor.stop()
assert watched and not lost, "the line is given up"
PYTHON
env/bin/python try.py
