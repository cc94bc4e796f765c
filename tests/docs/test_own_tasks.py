"""The how-to page on own tasks, followed to the letter."""

import json
import re
import shlex
from pathlib import Path

import pytest
from support.cli import esquirell_process
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-tasks.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_works_as_it_says(tmp_path: Path) -> None:
    server = RedisProcess(tmp_path)
    server.start()
    (tmp_path / "my_house.py").write_text(blocks("python")[0])
    config = configuration([meter_table("main", 1)], mqtt_port=1, redis_url=server.url, every=60)
    service = Service(tmp_path, f"{config}\n{blocks('toml')[0]}")
    lines = [shlex.split(line) for line in blocks("sh")[0].splitlines()]
    service.start()
    try:
        eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
        said = [
            esquirell_process(*line[1:], "--json", "--config", str(service.config))
            for line in lines
        ]
    finally:
        service.kill()
        server.stop()
    listed, ran, added = (one.json for one in said)
    assert "my_house.report" in [task["name"] for task in listed]
    assert ran["result"] == {"title": "Week", "days": 7}
    assert (added["name"], added["cron"]) == ("weekly", "0 7 * * mon")


@pytest.mark.parametrize("key", ["name", "cron", "task", "args"])
def test_the_mqtt_example_says_the_same_as_the_command_line(key: str) -> None:
    (payload,) = re.findall(r"-m '(.*)'", blocks("sh")[1])
    assert str(json.loads(payload)[key]).replace("'", '"') in blocks("sh")[0].replace("'", '"')
