#!/bin/sh
# Meters pack a phase into a frame. Home Assistant's Tuya integration unpacks it with tuya-device-handlers:
# eight bytes, or 17 and 18 with a header. Hiking's DDS238-2 and its like (DTS238, TOMZN, KTEM06) send 15 bytes
# under the same code, phase_a: direction and active power, reactive power, power factor, current, voltage.
#
# Guess: a frame of a length that is not in the list is not decoded, and the sensors stay unknown.
# Seen: whatever has eight bytes or more is taken for the frame of eight. A DDS238-2 that measures 231.2 V,
# 1.116 A and 148 W is shown with 0 V, 37.888 A and 165 W: its power is the reactive power, and its current
# is made of the active one. No value is marked as doubtful.
#
# Needs: Python 3.13 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python=
for version in 3.14 3.13; do
  # pyenv's stand-ins are on the PATH even where their version is not the one in use.
  for python in "python$version" "$HOME/.pyenv/versions/$version".*/bin/"python$version" ""; do
    [ -n "$python" ] && "$python" -c '' 2>/dev/null && break 2
  done
done
[ -n "$python" ] || { echo "needs Python 3.13 or 3.14"; exit 2; }
"$python" -m venv "$folder/venv"
env -u PIP_FIND_LINKS "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --prefer-binary "tuya-device-handlers==0.0.32"
"$folder/venv/bin/python" - <<'PROBE'
import sys
from importlib.metadata import version

from tuya_device_handlers.raw_data_model import ElectricityData

print("tuya-device-handlers", version("tuya-device-handlers"))
frames = {
    # What a DDS238-2 sent (zigbee-herdsman-converters issue #3611).
    "15 bytes, 231.2 V 1.116 A 148 W": "00000094000000a5023e00045c0908",
    "8 bytes, 233.2 V 1.245 A 231 W": "091c0004dd0000e7",
}
seen = []
for name, text in frames.items():
    read = ElectricityData.from_bytes(bytes.fromhex(text))
    seen.append((read.voltage, read.current, read.power) if read else None)
    print(f"{name}: (V, mA, W) =", seen[-1])
if seen != [(0.0, 37888, 165), (233.2, 1245, 231)]:
    sys.exit("that is no longer so")
PROBE
