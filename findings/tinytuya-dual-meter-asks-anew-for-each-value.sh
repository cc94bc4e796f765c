#!/bin/sh
# tinytuya has a class for the meter with two clamps (PJ-1103C): a getter for each quantity, each
# with a parameter status_data.
#
# Guess: a status read once and given to the getters is what they take their values from, and the
# power of a clamp that exports is negative, as the total beside it is.
# Seen: the getters ignore what they are given and ask the device again, so that voltage, current
# and power are of different moments; a clamp that exports has a positive power beside a negative
# total, as only the direction in DP 102 says so; and an answer without a datapoint, as these
# meters send them, is a KeyError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tinytuya==1.20.0 pycryptodome
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from tinytuya.Contrib import WiFiDualMeterDevice as module

cls = getattr(module, "WiFiDualMeterDevice", module)
asked = []


class Meter(cls):
    def status(self, nowait=False):
        asked.append(1)
        return {"dps": {"101": 12181, "102": "REVERSE", "115": -12181}}


meter = Meter("d" * 20, address="127.0.0.1", local_key="k" * 16, version=3.4)
once = {"dps": {"101": 5, "102": "FORWARD", "115": 5}}
power = meter.get_power_a(status_data=once)["power_a_raw"]
total = meter.get_total_power(status_data=once)["total_power_raw"]
try:
    meter.get_power_b(status_data=once)
    missing = "no error"
except KeyError as error:
    missing = f"KeyError {error}"
print("tinytuya", version("tinytuya"))
print("given 0.5 W, got", power, "W and", total, "W; asked", len(asked), "times; power_b:", missing)
assert (power, total, len(asked)) == (1218.1, -1218.1, 3)
assert missing == "KeyError '105'"
PYTHON
