#!/bin/sh
# energymeter2mqtt 0.6.3 publishes the registers of an energy meter on Modbus. Its own definition for the one
# meter that it knows (Saia ALD1) says of both energy counters that they have two registers: reg_count = 2.
#
# Guess: it asks for two registers and puts them together, so that a counter with 1234.56 kWh is 1234.56.
# Seen: it asks for one. The definition calls the number reg_count, the program looks for count and takes 1 where
# it is missing, and its own test answers with two registers whatever it was asked for. The counter begins again
# at 0 with each 655.36 kWh: 1234.56 kWh are published as 579.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check energymeter2mqtt==0.6.3
"$folder/venv/bin/python" - <<'PYTHON'
import tomllib
from importlib.metadata import version
from pathlib import Path

import energymeter2mqtt
from energymeter2mqtt.api import get_ha_values
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

print("energymeter2mqtt", version("energymeter2mqtt"))
(definition,) = (Path(energymeter2mqtt.__file__).parent / "definitions").glob("saia_*.toml")
counter = tomllib.loads(definition.read_text())["parameters"][0]
print(definition.name, "says", {name: counter[name] for name in ("name", "register", "reg_count", "scale")})
asked = []


class Meter:
    """Answers with as many registers as it is asked for, the lower word first."""

    def read_holding_registers(self, address, count, device_id):
        asked.append(count)
        return ReadHoldingRegistersResponse(registers=[123456 & 0xFFFF, 123456 >> 16][:count])


published = get_ha_values(client=Meter(), parameters=[counter], device_id=1)[counter["register"]]
print("asked for", *asked, "register; 1234.56 kWh are published as", published)
assert (counter["reg_count"], asked, published) == (2, [1], 579.2), "that is no longer so"
PYTHON
