#!/usr/bin/env bash
# tuya-device-sharing-sdk 0.2.15: what is known of the datapoints when one of them is the cloud's alone?
#
# The cloud lists for each device which numbered datapoint has which code and scale, and for each of
# them whether it is also spoken on the local network.
#
# Guess: that datapoint is left out of `local_strategy`, which maps the others.
# Seen: one of them, wherever it stands, and `local_strategy` is empty: no number has a code any more. A
# program that learns a meter's datapoints from it must ask for the list by itself.
#
# Needs python3 with pip and access to PyPI; everything goes into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install "tuya-device-sharing-sdk==0.2.15" "cryptography==46.0.3"

cat >try.py <<'PYTHON'
import json

import tuya_sharing
from tuya_sharing.device import CustomerDevice, DeviceRepository

print("tuya-device-sharing-sdk", tuya_sharing.__version__)


def relation(dp, code, local):
    return {
        "dpId": dp,
        "dpCode": code,
        "statusCode": code,
        "supportLocal": local,
        "valueConvert": "default",
        "statusFormat": json.dumps({code: "$"}),
        "valueDesc": json.dumps({"unit": "W", "scale": 1}),
        "valueType": "Integer",
        "enumMappingMap": {},
    }


class Cloud:
    """Answers as the cloud does, decoded already."""

    def __init__(self, relations):
        self.relations = relations

    def get(self, path, params=None):
        if path.endswith("/status"):
            result = {"productKey": "p", "dpStatusRelationDTOS": self.relations}
            return {"success": True, "result": result}
        return {"success": True, "result": False}


def known(*local):
    relations = [relation(18 + at, f"code_{at}", one) for at, one in enumerate(local)]
    device = CustomerDevice(id="meter")
    DeviceRepository(Cloud(relations)).update_device_strategy_info(device)
    return device.support_local, sorted(device.local_strategy)


for case in ((True, True, True), (True, True, False), (False, True, True)):
    print(case, "->", known(*case))
assert known(True, True, True) == (True, [18, 19, 20])
assert known(True, True, False) == (False, []), "the other two are known"
assert known(False, True, True) == (False, []), "the other two are known"
PYTHON
env/bin/python try.py
