import json
import sys
from dataclasses import replace

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import START, put, sample
from support.service import KEY
from support.terminal import Terminal

from esquirell.domain.reading import Ledger, MeterStatus
from esquirell.domain.schedule import StoredSchedule
from esquirell.profiles import find
from esquirell.storage.database import Database
from esquirell.storage.schedules import Schedules
from esquirell.tuya.simulator import SimulatedMeter

KEYS = find("owon_pc321").keys
STATUS = MeterStatus(failures=1, reason="no_data", keys=KEYS)


def test_the_list_shows_settings_and_states(home: Home) -> None:
    home.configure(meter(), meter("garage", label='label = "Garage\\tdoor"'))
    home.store([sample("main", voltage_a=236.0)], {"main": STATUS})
    listed = esquirell("meters", "list", "--json").json
    assert listed == [
        {
            "name": "main",
            "label": "main",
            "profile": "owon_pc321",
            "protocol": "3.4",
            "state": "online",
            "reason": "no_data",
            "last_success": "2026-11-22T10:15:00.123Z",
            "failures": 1,
        },
        listed[0]
        | {"name": "garage", "label": "Garage door", "state": "offline"}
        | {"reason": None, "last_success": None, "failures": 0},
    ]
    assert esquirell("meters", "show", "garage door", "--json").code == 0  # by its label
    headings, main, garage = esquirell("meters", "list").rows
    assert dict(zip(headings, main, strict=True))["last_success"] == "2026-11-22T10:15:00.123Z"
    assert garage[:2] == ["garage", "Garage door"]
    assert (garage[headings.index("state")], garage[-1]) == ("offline", "not read yet")


def test_a_meter_that_is_no_longer_read_is_shown_as_such(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main", voltage_a=236.0)], {"main": MeterStatus(last_success=START)})
    database = Database(f"sqlite:///{home.database}")
    put(Schedules(database), StoredSchedule("fetch", {"every": 60}))
    database.close()
    headings, main = esquirell("meters", "list").rows
    assert main[headings.index("state")] == "offline"
    assert main[-1] == "not read for more than three of its intervals"


def test_the_list_makes_no_database(home: Home) -> None:
    home.configure(meter())
    said = esquirell("meters", "list")
    assert said.code == 0
    assert "does not exist yet" in said.err
    assert home.files == {"esquirell.toml"}


def test_one_meter_is_shown_with_all_its_settings_and_values(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main", voltage_a=236.0)], {"main": STATUS})
    shown = esquirell("meters", "show", "main", "--json").json
    assert shown["configuration"]["device_id"] == "id-main"
    assert shown["configuration"]["local_key"] == "***"
    assert shown["profile"]["model"] == "PC321-W-TY"
    assert shown["keys"] == list(KEYS)
    assert shown["status"]["failures"] == 1
    reading = shown["reading"]
    assert reading["measured_at"] == "2026-11-22T10:15:00.123Z"
    assert (reading["voltage_a"], reading["voltage_b"]) == (236.0, None)
    assert [*reading] == ["measured_at", *KEYS]
    rows = esquirell("meters", "show", "main").rows
    assert ["local_key", "***"] in rows
    assert ["voltage_a", "236.0", "V"] in rows


def test_doubts_about_a_meter_are_shown(home: Home) -> None:
    home.configure(meter())
    ledger = Ledger(at=START, warnings=("voltage_a is about 10 times too high",))
    home.store([replace(sample("main"), ledger=ledger)])
    shown = esquirell("meters", "show", "main", "--json").json
    assert shown["warnings"] == ["voltage_a is about 10 times too high"]
    rows = esquirell("meters", "show", "main").rows
    assert ["warning", "voltage_a is about 10 times too high"] in rows


def test_no_secret_is_shown_of_a_meter(home: Home) -> None:
    home.configure(meter())
    for option in ((), ("--json",)):
        assert KEY not in esquirell("meters", "show", "main", *option).out


def test_a_meter_of_an_unknown_product_is_shown(home: Home) -> None:
    home.configure(meter(profile=""))
    home.store()
    said = esquirell("meters", "show", "main", "--json")
    assert (said.code, said.json["profile"], said.json["reading"]) == (0, None, None)
    assert said.err == ""


def test_a_recognised_meter_is_shown_as_what_it_was_recognised_as(home: Home) -> None:
    plug = {"1": True, "9": 0, "17": 12, "18": 512, "19": 1170, "20": 2310, "21": 1, "26": 0}
    device = SimulatedMeter("id-main", KEY, "3.4", lambda: plug)
    device.start()
    try:
        home.configure(meter(port=device.port, profile=""))
        assert esquirell("fetch", "--no-publish").code == 0
        findings = {one["check"]: one for one in esquirell("doctor", "--json").json}
    finally:
        device.stop()
    assert findings["meter main: profile"]["message"] == "plug, Metering plug"
    assert esquirell("meters", "show", "main", "--json").json["profile"]["name"] == "plug"
    assert esquirell("meters", "list", "--json").json[0]["profile"] == "auto"
    with Terminal([sys.executable, "-m", "esquirell", "meters", "list"], 120) as terminal:
        assert terminal.finish() == 0
    assert "auto (plug)" in terminal.text


def test_a_test_reads_and_stores_nothing(home: Home, device: SimulatedMeter) -> None:
    home.configure(meter(port=device.port))
    tried = esquirell("meters", "test", "main", "--json").json
    assert [*tried] == ["name", "reading", "duration_ms"]
    assert (tried["reading"]["voltage_a"], tried["reading"]["voltage_b"]) == (236.1, None)
    diagnostics = tried["reading"]["diagnostics"]
    assert (diagnostics["DeviceStatus"], diagnostics["push"]) == (14, "off")
    rows = esquirell("meters", "test", "main").rows
    assert ["active_power_a", "-140.0", "W"] in rows
    assert ["voltage_b", "", "V"] in rows
    assert ["DeviceStatus", "14"] in rows
    assert device.answers == 2
    assert esquirell("readings", "--json").json == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"local_key": "local_key = '0123456789abcdeX'"}, "local_key is wrong"),
        ({"address": 'address = "127.0.0.2"'}, "check that it has power and Wi-Fi"),
        ({"profile": 'profile = "owon"'}, "there is no profile 'owon'"),
    ],
)
def test_a_meter_that_cannot_be_read(
    home: Home, device: SimulatedMeter, changes: dict[str, str], told: str
) -> None:
    home.configure(meter(port=device.port, **changes))
    said = esquirell("meters", "test", "main", "--json")
    assert said.code in {1, 2}
    assert told in said.sentence
    assert json.dumps("0123456789abcdeX") not in said.err


def test_a_cloud_meter_shows_what_was_spent(home: Home) -> None:
    account = """
[cloud]
api_key = "a"
api_secret = "b"
"""
    home.configure(meter(transport='transport = "cloud"'), account)
    assert esquirell("meters", "show", "main", "--json").json["cloud"] == {
        "requests_today": 0,
        "requests_per_day": 850,
        "requests_this_month": 0,
        "requests_per_month": 26000,
    }
    assert ["requests_per_month", "26000"] in esquirell("meters", "show", "main").rows
