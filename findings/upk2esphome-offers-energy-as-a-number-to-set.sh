#!/bin/sh
# upk2esphome 1.16.2 writes ESPHome's configuration for a Tuya device with a second controller, from the maker's
# schema: what can only be read becomes a sensor, what can be written a number.
#
# Guess: both are scaled alike, as the schema names the decimals of both.
# Seen: only the sensor is. add_ele, the energy since the last report, is "rw" in two of five of Tuya's schemas,
# though nobody can set what was used. Such a one becomes a field from 0 to 50000 kWh that can be set, without a
# scale: 12 Wh are shown as 12 kWh. As "ro" the same datapoint is a sensor and divided by 1000.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check upk2esphome==1.16.2
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from upk2esphome.generator import upk2esphome
from upk2esphome.opts import Opts

print("upk2esphome", version("upk2esphome"))
seen = {}
for mode in ("ro", "rw"):
    kind = {"type": "value", "min": 0, "max": 50000, "scale": 3, "step": 1, "unit": "kW·h"}
    energy = {"abilityId": 17, "code": "add_ele", "accessMode": mode, "name": "", "description": "", "typeSpec": kind}
    model = {"modelId": "0000001", "services": [{"properties": [energy]}]}
    storage = {"gw_bi": {}, "gw_di": {"s_id": "0000001"}, "baud_cfg": {"baud": 9600}}
    made = upk2esphome(storage, Opts(), {"model": model, "category": "cz"})
    assert not made.errors, made.errors
    (platform,) = {"sensor", "number"} & made.data.keys()
    (seen[mode],) = made.data[platform]
    print(f"{mode}: {platform}", seen[mode])
assert seen["ro"]["filters"] == [{"multiply": 0.001}]
assert "filters" not in seen["rw"] and "multiply" not in seen["rw"], "the number is scaled"
assert (seen["rw"]["number_datapoint"], seen["rw"]["max_value"]) == (17, 50000)
PYTHON
