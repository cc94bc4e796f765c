"""What the API answers where there are too many rows, or where a command takes long."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.cli import esquirell_process
from support.page_house import House, running_house
from support.waiting import eventually
from web.test_api import Program

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings

SHORT = (sys.executable, "-P", str(Path(__file__).parent.parent / "support/short_esquirell.py"))
TARIFF = """
[[tariffs]]
name = "home"
currency = "PLN"
import_price = 1
"""
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = "2026-03-01T08:00Z"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), TARIFF, SHORT) as house:
        database = Database(f"sqlite:///{house.service.database}")
        for name in ("main", "hung"):
            hours = [
                Reading(name, BEGAN + timedelta(hours=hour), {"energy_import": float(hour)})
                for hour in range(10)
            ]
            Readings(database).add(hours, {name: MeterStatus(keys=("energy_import",))})
        database.close()
        yield house


@pytest.fixture(scope="module")
def program(house: House) -> Program:
    added = esquirell_process(
        "--config", str(house.service.config), "web", "token", "add", "writer", "--write", "--json"
    )
    return Program(house.port, added.json["token"])


def pages(program: Program, path: str) -> list[list[dict[str, object]]]:
    """Ask again from where an answer ended, until there is no more."""
    found, address = [], f"{path}&since=2026-03-01&until={UNTIL}"
    while True:
        reply = program.read(address)
        assert reply.status == 200, reply.text
        found.append(reply.json["data"])
        if (following := reply.json["next"]) is None:
            return found
        address = f"{path}&since={following}&until={UNTIL}"


@pytest.mark.parametrize(
    ("path", "moment"),
    [
        ("/readings?quantity=energy_import", "measured_at"),
        ("/statistics?resolution=hour&quantity=energy_import", "start"),
        ("/cost?resolution=hour", "start"),
    ],
)
def test_a_truncated_answer_continues_at_next(program: Program, path: str, moment: str) -> None:
    found = pages(program, path)
    assert all(len(page) <= 5 for page in found)
    rows = [(str(row[moment]), str(row["meter"])) for page in found for row in page]
    expected = [(f"2026-03-01T0{hour}", name) for hour in range(8) for name in ("hung", "main")]
    assert sorted((at[:13], name) for at, name in rows) == expected


def test_a_command_that_takes_long_is_accepted_and_its_end_is_in_the_log(program: Program) -> None:
    reply = program.give("meter/test", {"name": "main", "transaction": "t-9"})
    assert reply.status == 202, reply.text
    assert (reply.json["status"], reply.json["transaction"]) == ("accepted", "t-9")
    entry = f"/log/{reply.json['data']['task_id']}"
    eventually(lambda: program.read(entry).json["outcome"] == "ok", what="its end")
    assert program.read(entry).json["answer"]["data"]["name"] == "main"
