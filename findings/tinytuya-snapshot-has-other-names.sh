#!/usr/bin/env bash
# tinytuya 1.20.0: does snapshot.json hold a device as devices.json does?
#
# The wizard writes both files into one folder: devices.json with the devices of the account, and, once
# it has polled them, snapshot.json with the same devices and where they were found.
#
# Guess: the same list with the same names, so that whoever reads one file can read the other.
# Seen: the list is in an object, under "devices", and the protocol version is called "ver" there and
# "version" in devices.json; one that is not known is an empty text. load_snapshotfile renames it again
# and makes it a number, so that the device with the unknown version comes back with version 0.0, and
# each device with its id twice, as "id" and "gwId".
#
# Needs python3 with pip and access to PyPI; everything goes into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install "tinytuya==1.20.0"

cat >try.py <<'PYTHON'
import json

import tinytuya
from tinytuya import scanner

print("tinytuya", tinytuya.version)
known = {"id": "eb01", "name": "Plug", "key": "0123456789abcdef", "ip": "192.168.1.5", "version": 3.4}
unknown = {"id": "eb02", "name": "Lamp", "key": "0123456789abcdef", "version": 0.0}
scanner.save_snapshotfile("snapshot.json", [known, unknown])
with open("snapshot.json") as file:
    written = json.load(file)
print(json.dumps(written["devices"]))
plug, lamp = written["devices"]
assert "version" not in plug and plug["ver"] == "3.4", "it is called version, as in devices.json"
assert lamp["ver"] == "", "an unknown version is written as something else"
read = scanner.load_snapshotfile("snapshot.json")["devices"]
print("read back:", [(one["id"], one["gwId"], one["version"]) for one in read])
assert read[0]["version"] == 3.4 and "ver" not in read[0], "it stays as it was written"
assert read[1]["version"] == 0.0, "an unknown version is told apart from a number"
PYTHON
env/bin/python try.py
