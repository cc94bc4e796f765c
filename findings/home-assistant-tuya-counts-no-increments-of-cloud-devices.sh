#!/usr/bin/env bash
# Many of Tuya's plugs report the energy since their last report (add_ele). Home Assistant's Tuya integration sums
# these up with tuya-device-handlers 0.0.32, from what tuya-device-sharing-sdk 0.2.15 hears from the cloud.
#
# The cloud's reports have a time with each value. Devices whose datapoints are all spoken on the local network
# are reported by number, the others by code.
#
# Guess: three reports of 10 Wh are 0.03 kWh, for both kinds of device.
# Seen: for those that are reported by code the library leaves the times out, and the sum takes a value without
# a time for a repetition. So the energy of such a plug is 0 for ever, while its power moves; one datapoint that
# is the cloud's alone makes a plug such a one.
#
# Needs Python 3.13 or newer with access to PyPI; everything goes into a temporary folder.
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

cat >try.py <<'PYTHON'
import json
from importlib.metadata import version

from tuya_device_handlers.definition.sensor import get_default_definition
from tuya_sharing import CustomerDevice, Manager, SharingDeviceListener
from tuya_sharing.device import DeviceStatusRange

for name in ("tuya-device-handlers", "tuya-device-sharing-sdk"):
    print(name, version(name))
token = {"t": 0, "expire_time": 7200, "uid": "u", "access_token": "a", "refresh_token": "r"}
desc = json.dumps({"min": 0, "max": 50000, "scale": 3, "step": 1, "unit": "kW·h"})
strategy = {
    "value_convert": "default",
    "status_code": "add_ele",
    "config_item": {"statusFormat": json.dumps({"add_ele": "$"}), "valueDesc": desc, "valueType": "Integer"},
}


def summed(local):
    manager = Manager("client", "code", "terminal", "http://127.0.0.1:9", token)
    plug = CustomerDevice(id="plug", product_id="p", status={"add_ele": 0}, function={}, support_local=local)
    plug.local_strategy = {17: strategy} if local else {}
    plug.status_range = {"add_ele": DeviceStatusRange(code="add_ele", type="Integer", values=desc, report_type="sum")}
    sensor = get_default_definition(plug, "add_ele").sensor_wrapper

    class Listener(SharingDeviceListener):
        def update_device(self, device, updated_status_properties=None, dp_timestamps=None):
            sensor.skip_update(device, updated_status_properties, dp_timestamps)

        def add_device(self, device):
            pass

        def remove_device(self, device_id):
            pass

    manager.add_device_listener(Listener())
    manager.device_map["plug"] = plug
    for at in range(3):
        value = {"dpId": 17} if local else {"code": "add_ele"}
        status = [value | {"value": 10, "t": 1764547200000 + 60000 * at}]
        manager.on_message({"protocol": 4, "data": {"devId": "plug", "status": status}})
    return round(sensor.read_device_status(plug), 6)


by_number, by_code = summed(True), summed(False)
print("three times 10 Wh, by number:", by_number, "kWh, by code:", by_code, "kWh")
assert (by_number, by_code) == (0.03, 0), "that is no longer so"
PYTHON
env/bin/python try.py
