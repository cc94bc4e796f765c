#!/usr/bin/env bash
# tinytuya 1.20.0: how long may the answer of a device be?
#
# The length in the header of a Tuya frame has 32 bits, and TCP carries a frame in as many packets as
# it needs. Meters with many circuits and gateways have more than a hundred datapoints.
#
# Guess: an answer with 120 short texts, 2.6 KB of JSON, is read as one with 60 is.
# Seen, on protocols 3.3, 3.4 and 3.5 alike: with 60 all datapoints come; with 120 status() returns
# error 904, "Unexpected Payload from Device", which elsewhere stands for a wrong key or version.
# parse_header() takes every frame whose length is over MAX_PAYLOAD_LENGTH = 1440 for garbage, though
# unpack_message() opens it when it is given the header.
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
import time
import warnings

import tinytuya
import tuyamock

warnings.simplefilter("ignore")
KEY, DEVICE = "0123456789abcdef", "eb0123456789abcdefghij"
print("tinytuya", tinytuya.version)
for version in ("3.3", "3.4", "3.5"):
    for count, expected in ((60, None), (120, "904")):
        dps = {str(100 + number): "x" * 10 for number in range(count)}
        mock = tuyamock.MockDevice(version=version, port=0, local_key=KEY, gw_id=DEVICE, dps=dps)
        mock.start()
        time.sleep(0.5)
        client = tinytuya.Device(
            DEVICE, "127.0.0.1", KEY, version=float(version), connection_retry_limit=1
        )
        client.port = mock.port
        answer = client.status()
        said = f"error {answer['Err']}" if "Err" in answer else f"{len(answer['dps'])} came"
        print(version, f"{count} datapoints:", said)
        assert answer.get("Err") == expected, "the limit has changed"
        client.close()
        mock.stop()
PYTHON
env/bin/python try.py
