"""The way of one reading, from the task to the database and the broker."""

import json
import subprocess
import sys
from pathlib import Path

from support import trace_poll

MOST_MODULES = 42
"""It is 42: the LAN protocol takes nine, the poll eleven, the transaction seven, MQTT four.

Saving, which also knows what to do while the database is unreachable, stands beside delivery. Two
of them (timekeeping, machine) ask at each poll whether the clock can be right. One (direct) gives
SQLite's driver the statements as text, which more than halves the calls of a transaction.
"""


def test_a_reading_enters_no_more_modules_than_it_has_to(config: str, tmp_path: Path) -> None:
    file = tmp_path / "esquirell.toml"
    file.write_text(config)
    file.chmod(0o600)
    command = [sys.executable, trace_poll.__file__, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["outcome"]["meters"]["main"]["status"] == "ok"
    assert len(found["entered"]) <= MOST_MODULES, "\n".join(found["entered"])
    packages = {Path(one).parts[1] for one in found["entered"]}
    assert packages >= {"domain", "mqtt", "services", "storage", "tuya"}
