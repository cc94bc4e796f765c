#!/usr/bin/env bash
# tinytuya 1.20.0: what does status() return when the device has reported something meanwhile?
#
# With a persistent connection a Tuya device sends reports (command 8) between the answers. status()
# sends a query and takes a frame for the answer.
#
# Guess: the report is passed over, or merged, and status() returns all datapoints as they are.
# Seen, on protocols 3.3, 3.4 and 3.5 alike: it returns the report, one datapoint of three. The answer
# stays on the connection, and the next status() returns that one: values as they were one question
# ago. From then on every answer is one question old, for as long as the connection lives. Whoever
# keeps connections open has to tell answers from reports by their command, which is only in raw_recv.
#
# The device is tuyamock, on a socket of this machine. Needs python3 with pip and access to PyPI;
# everything goes into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install "tinytuya==1.20.0" "cryptography==50.0.2"
env/bin/pip --quiet install --no-deps "tuyamock==0.0.6"

cat >try.py <<'PYTHON'
import select
import time
import warnings

import tinytuya
import tuyamock

warnings.simplefilter("ignore")
KEY, DEVICE = "0123456789abcdef", "eb0123456789abcdefghij"
print("tinytuya", tinytuya.version)
for version in ("3.3", "3.4", "3.5"):
    dps = {"1": 1, "18": 100, "19": 200}
    mock = tuyamock.MockDevice(version=version, port=0, local_key=KEY, gw_id=DEVICE, dps=dps)
    mock.start()
    time.sleep(0.5)
    client = tinytuya.Device(DEVICE, "127.0.0.1", KEY, version=float(version), persist=True)
    client.port = mock.port
    first = client.status()["dps"]
    mock.push({"18": 111})
    select.select([client.socket], [], [], 10)
    mock.dps["19"] = 222
    second = client.status()["dps"]
    select.select([client.socket], [], [], 10)
    mock.dps["19"] = 333
    third = client.status()["dps"]
    print(version, "before", first, "| after a report", second, "| next", third)
    assert second == {"18": 111}, "the report is not taken for the answer any more"
    assert third["19"] == 222, "the answer is not the one to the question before any more"
    client.close()
    mock.stop()
PYTHON
env/bin/python try.py
