"""A client that a generator made from openapi.json works."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli import LIMIT_S, esquirell_process
from support.page_house import House

USE = """
import json
import sys

from esquirell_client import AuthenticatedClient
from esquirell_client.api.default import (
    fetch, get_health, list_log, list_meters, list_readings, schedule_set, schedule_run
)
from esquirell_client.models import Error, Meters, NamePayload, ScheduleChange

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
told = {"meters": [one.name for one in list_meters.sync(client=client)]}
told["healthy"] = get_health.sync(client=client).healthy
rows = list_readings.sync(client=client, meter=["main"], since="1h", quantity="voltage_a")
told["row"] = rows.data[0].to_dict()
told["next"] = rows.next_
ended = fetch.sync(client=client, body=Meters(meters=["main"]))
told["fetch"] = ended.data.meters["main"].status
changed = schedule_set.sync(client=client, body=ScheduleChange(name="fetch", every=2))
told["every"] = changed.data.every
refused = schedule_run.sync_detailed(client=client, body=NamePayload(name="nobody"))
told["refused"] = [int(refused.status_code), isinstance(refused.parsed, Error), refused.parsed.code]
told["log"] = [one.command for one in list_log.sync(client=client, last=2)]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def token(house: House) -> str:
    words = ("web", "token", "add", "client", "--write")
    return esquirell_process("--config", str(house.service.config), *words).out.strip()


def generate(folder: Path, description: dict[str, Any]) -> None:
    file = folder / "openapi.json"
    file.write_text(json.dumps(description))
    generator = Path(sys.executable).with_name("openapi-python-client")
    target = folder / "esquirell_client"
    paths = ["--path", str(file), "--output-path", str(target)]
    command = [str(generator), "generate", *paths, "--meta", "none"]
    # It formats with ruff, which stands beside it.
    environment = os.environ | {"PATH": f"{generator.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout
    # It would say which parts of the description it can't follow.
    assert "WARNING" not in done.stdout + done.stderr, done.stdout


def test_a_generated_client_works(house: House, token: str, tmp_path: Path) -> None:
    browser = house.browser()
    description = browser.get("/api/v1/openapi.json").json
    generate(tmp_path, description)
    operations = {
        one["operationId"] for path in description["paths"].values() for one in path.values()
    }
    made = {file.stem for file in (tmp_path / "esquirell_client/api/default").glob("[a-z]*.py")}
    assert made == operations
    program = tmp_path / "use.py"
    program.write_text(USE)
    base = f"http://127.0.0.1:{house.port}/api/v1"
    command = [sys.executable, str(program), base, token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["meters"] == ["main", "hung"]
    assert told["row"]["voltage_a"] == 236.1
    assert told["next"] is None
    assert told["fetch"] == "ok"
    assert told["every"] == 2
    assert told["refused"] == [404, True, "unknown_schedule"]
    assert told["log"] == ["schedule/set", "schedule/run"]
