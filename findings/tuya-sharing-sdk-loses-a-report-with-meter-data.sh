#!/usr/bin/env bash
# tuya-device-sharing-sdk 0.2.15: what becomes of a report that has a meter's "db_v1_data" in it?
#
# Tuya's library for logins by QR code, in use by Home Assistant's Tuya integration. It has converters
# for the frames of electricity meters; db_v1_data is the one for an energy with its time stamp.
#
# Guess: the frame is decoded as by its siblings db_v1_daily and db_v1_month, and the power that was
# reported along with it arrives as well.
# Seen: it passes the decoded bytes to a pattern for texts, which raises a TypeError for any value. The
# error is caught around the whole message: values before the frame are in `status`, but no listener
# hears of them, and values behind it are lost. The siblings turn the bytes into hexadecimal digits first.
#
# Needs python3 with pip and access to PyPI; everything goes into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install "tuya-device-sharing-sdk==0.2.15" "cryptography==46.0.3"

cat >try.py <<'PYTHON'
import base64
import json
import logging

import tuya_sharing
from tuya_sharing import CustomerDevice, Manager, SharingDeviceListener, strategy

print("tuya-device-sharing-sdk", tuya_sharing.__version__)
logging.getLogger("tuya_sharing").setLevel(logging.CRITICAL)


class Listener(SharingDeviceListener):
    heard = []

    def update_device(self, device, updated_status_properties=None, dp_timestamps=None):
        self.heard.append(updated_status_properties)

    def add_device(self, device):
        pass

    def remove_device(self, device_id):
        pass


def point(code, convert):
    described = {"statusFormat": json.dumps({code: "$"}), "valueDesc": "{}", "valueType": "Raw"}
    return {"value_convert": convert, "status_code": code, "config_item": described}


token = {"t": 0, "expire_time": 7200, "uid": "u", "access_token": "a", "refresh_token": "r"}
manager = Manager("client", "code", "terminal", "http://127.0.0.1:9", token)
manager.add_device_listener(Listener())
meter = CustomerDevice(id="meter", status={}, support_local=True)
meter.local_strategy = {
    103: point("cur_voltage", "default"),
    104: point("energy_at", "db_v1_data"),
    105: point("cur_power", "default"),
}
manager.device_map["meter"] = meter
# 123.45 kWh on 24-11-30 at 12:00:00, as ten bytes.
frame = base64.b64encode(bytes.fromhex("00003039" "180b1e0c0000")).decode()
status = [
    {"dpId": 103, "value": 2300},
    {"dpId": 104, "value": frame},
    {"dpId": 105, "value": 4200},
]
manager.on_message({"protocol": 4, "data": {"devId": "meter", "status": status}})
print("status:", meter.status, "heard:", Listener.heard)
assert meter.status == {"cur_voltage": 2300}, "the values behind the frame arrive"
assert Listener.heard == [], "listeners hear of the rest"
try:
    strategy.convert("db_v1_data", ("energy_at", frame), meter.local_strategy[104]["config_item"])
except TypeError as error:
    print("TypeError:", error)
else:
    raise AssertionError("the frame is converted")
daily = strategy.convert("db_v1_daily", ("day", frame), point("day", "db_v1_daily")["config_item"])
print("its sibling:", daily)
PYTHON
env/bin/python try.py
