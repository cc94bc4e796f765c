"""The how-to page on own tasks, followed to the letter."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import esquirell_process
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import LIMIT_S, eventually

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-tasks.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


# All but the last but one are pieces of one module; that one is a shell beside it.
*PIECES, SHELL, LONG = blocks("python")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("house")
    server = RedisProcess(folder)
    server.start()
    (folder / "my_house.py").write_text("\n".join([*PIECES, LONG]))
    config = configuration([meter_table("main", 1)], mqtt_port=1, redis_url=server.url, every=60)
    service = Service(folder, f"{config}\n{blocks('toml')[0]}")
    service.start()
    eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
    yield service
    service.kill()
    server.stop()


def test_the_commands_work(service: Service) -> None:
    lines = [shlex.split(line) for line in blocks("sh")[0].splitlines()]
    listed, ran, added = (
        esquirell_process(*line[1:], "--json", "--config", str(service.config)).json
        for line in lines
    )
    names = {task["name"] for task in listed}
    assert {"my_house.report", "my_house.bill", "my_house.ping", "my_house.import_year"} <= names
    assert "my_house.forget_everything" not in names
    assert ran["result"] == "Week: 7 days"
    assert (added["name"], added["cron"]) == ("weekly", "0 7 * * mon")


def test_the_shell_prints_what_the_page_shows(service: Service) -> None:
    (expected,) = blocks("text")
    environment = os.environ | {"ESQUIRELL_CONFIG": str(service.config)}
    shell = subprocess.run(
        [sys.executable, "-c", SHELL],
        cwd=service.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S * 2,
        check=False,
    )
    assert (shell.stdout, shell.returncode) == (expected, 0), shell.stderr


def test_the_mqtt_example_is_a_schedule_of_a_marked_task() -> None:
    (payload,) = re.findall(r"-m '(.*)'", blocks("sh")[1])
    assert json.loads(payload)["task"] == "my_house.bill"
    assert "@schedulable(Bill)" in PIECES[1]
