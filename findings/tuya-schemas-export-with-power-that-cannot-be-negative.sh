#!/usr/bin/env bash
# Tuya's product schemas say of each number from where to where it goes. Meters that count both directions have a
# counter for what was fed in beside a power; iobroker.tuya 3.18.2 carries the schemas.
#
# Guess: the power of such a meter goes below zero.
# Seen: in 31 of 58 products it begins at 0, as if nothing could flow back, though the counter for that is there.
# Only the values show whether such a meter's power is a magnitude. Home Assistant's library for Tuya
# (tuya-device-handlers 0.0.32) believes the schema: what flows back is unknown there as soon as the sun shines,
# and of the other 27 it is a negative power.
#
# Needs: npm, node and Python 3.13 or newer.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=
for version in 3.14 3.13; do
  # pyenv's stand-ins are on the PATH even where their version is not the one in use.
  for python in "python$version" "$HOME/.pyenv/versions/$version".*/bin/"python$version" ""; do
    [ -n "$python" ] && "$python" -c '' 2>/dev/null && break 2
  done
done
[ -n "$python" ] || { echo "needs Python 3.13 or 3.14"; exit 2; }
"$python" -m venv env
env/bin/pip install --quiet --disable-pip-version-check "tuya-device-handlers==0.0.32" "tuya-device-sharing-sdk==0.2.15" "cryptography==46.0.3"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
node -e '
const back = /(revers|reserse|reserve|export).*energy|energy.*(revers|reserse|reserve|export)/i;
const powers = /^(power_total|total_power|active_power|cur_power|power_[abc]|total_active_power)$/;
const found = [];
for (const {schema} of Object.values(require("./package/lib/schema.json"))) {
  const points = JSON.parse(schema);
  const power = points.filter((one) => powers.test(one.code) && (one.property || {}).type === "value");
  if (points.some((one) => back.test(one.code)) && power.length) found.push(power);
}
console.log(JSON.stringify(found));
' >powers.json

cat >try.py <<'PYTHON'
import json
import logging
from importlib.metadata import version
from pathlib import Path

from tuya_device_handlers.definition.sensor import get_default_definition
from tuya_sharing import CustomerDevice
from tuya_sharing.device import DeviceStatusRange

logging.disable(logging.CRITICAL)
products = json.loads(Path("powers.json").read_text())
print("tuya-device-handlers", version("tuya-device-handlers"))


def read(point, value):
    code, values = point["code"], json.dumps({"step": 1, "scale": 0} | point["property"])
    kind = DeviceStatusRange(code=code, type="Integer", values=values, report_type=None)
    device = CustomerDevice(id="meter", product_id="p", status={code: value}, function={}, status_range={code: kind})
    return get_default_definition(device, code).sensor_wrapper.read_device_status(device)


never, signed = [], []
for powers in products:
    (never if all(point["property"]["min"] >= 0 for point in powers) else signed).append(powers)
lowest = [[min(powers, key=lambda point: point["property"]["min"]) for powers in group] for group in (never, signed)]
shown = [{read(point, -5) is None for point in group} for group in lowest]
print(len(products), "products with a counter of export and a power:", len(never), "with a power from 0 on")
print("-5 as their power is unknown:", *shown[0], "and of the others:", *shown[1])
assert (len(products), len(never)) == (58, 31), "the schemas have changed"
assert shown == [{True}, {False}], "the range is not believed any more"
PYTHON
env/bin/python try.py
