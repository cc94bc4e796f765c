"""The reference loop: the least that a person would write to read, store and publish meters.

One process: tinytuya with kept connections, values divided by their scale, one row and one commit
per reading, one publication with QoS 1. No queue, no schedule, no commands, no recovery.
`python -m benchmarks.reference SETUP`, where SETUP is a JSON file.
"""

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import tinytuya
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

DIVISORS = {
    **dict.fromkeys(("101", "111", "121", "136"), 10),
    **dict.fromkeys(("102", "112", "122", "132"), 1000),
    **dict.fromkeys(("104", "114", "124"), 100),
    **dict.fromkeys(("106", "107", "116", "117", "126", "127", "131", "139"), 100),
    **dict.fromkeys(("103", "105", "113", "115", "123", "125", "133", "134", "135"), 1),
}
COLUMNS = ", ".join(f"dp{number} REAL" for number in DIVISORS)
INSERT = f"INSERT INTO reading VALUES ({', '.join('?' * (len(DIVISORS) + 2))})"  # noqa: S608 - marks


def read_for_ever(setup: dict[str, Any]) -> None:
    """Read each meter in turn, every so many seconds."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", setup["mqtt_port"])
    client.loop_start()
    database = sqlite3.connect(setup["database"])
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"CREATE TABLE reading (meter TEXT, measured_at REAL, {COLUMNS})")
    meters = {one["name"]: _device(one) for one in setup["meters"]}
    while True:
        for name, device in meters.items():
            answer = device.status()
            if "dps" not in answer:
                continue
            at = time.time()
            values = {dp: answer["dps"][dp] / divisor for dp, divisor in DIVISORS.items()}
            database.execute(INSERT, [name, at, *values.values()])
            database.commit()
            client.publish(f"reference/{name}", json.dumps({"measured_at": at, **values}), 1)
        time.sleep(setup["every_s"] - time.time() % setup["every_s"])


def _device(meter: dict[str, Any]) -> Any:  # noqa: ANN401 - tinytuya has no types
    device = tinytuya.Device(
        meter["device_id"], meter["address"], meter["key"], version=float(meter["protocol"])
    )
    device.set_socketPersistent(True)
    return device


if __name__ == "__main__":
    read_for_ever(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
