#!/bin/sh
# rustuya-homeassistant 0.0.1rc24 describes the meters and plugs of rustuya-bridge to Home Assistant by MQTT
# discovery. Home Assistant keeps statistics of a sensor that has a state class, and offers such energies on its
# Energy dashboard.
#
# Guess: counters are total_increasing, power and voltage measurement, and an increment (add_ele) is a total.
# Seen: there is no state class in anything that it publishes, so that a plug's energy and power are shown and
# leave no statistics. A meter's counters and its power have no device class either: of Tuya's electrical codes
# only add_ele and the three cur_ of plugs are known. An add_ele that the maker counts in W·h is published as
# kWh, undivided: a thousand times too much.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check --pre rustuya-homeassistant==0.0.1rc24
"$folder/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version

from rustuya_ha.tuya2ha.generator import DiscoveryGenerator

print("rustuya-homeassistant", version("rustuya-homeassistant"))


def point(code, unit, scale):
    described = {"valueType": "Integer", "valueDesc": json.dumps({"unit": unit, "scale": scale, "min": 0, "max": 99999, "step": 1})}
    return {"status_code": code, "config_item": described}


plug = {"17": point("add_ele", "W·h", 0), "19": point("cur_power", "W", 1), "20": point("cur_voltage", "V", 1)}
meter = {"1": point("forward_energy_total", "kW·h", 2), "9": point("power_total", "kW", 3)}
seen = {}
for category, strategy in (("cz", plug), ("zndb", meter)):
    device = {"id": category, "name": category, "category": category, "local_strategy": strategy}
    for topic, sensor in DiscoveryGenerator().generate(device)[0].items():
        key = topic.split("/")[-2]
        seen[key] = [sensor.get(name) for name in ("state_class", "device_class", "unit_of_measurement")]
        print(key, *seen[key], "divided" if " / " in sensor["value_template"] else "as it is")
assert not any(state for state, _, _ in seen.values()), "there are state classes"
assert seen["cz_add_ele"] == [None, "energy", "kWh"], "W·h stays W·h"
assert seen["zndb_forward_energy_total"] == [None, None, "kWh"], "the counter has a device class"
PYTHON
