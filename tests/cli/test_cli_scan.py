"""`esquirell scan`, on the real ports: broadcasts on loopback reach all who listen there."""

from contextlib import ExitStack

import pytest
from support.cli import Home, Said, esquirell
from support.tuya_broadcasts import Broadcaster

from esquirell.tuya.discovery.listener import Ports

pytestmark = pytest.mark.usefixtures("own_ports")

KNOWN = "gqmmtjclqb7reg5p"


def scanned(*arguments: str) -> Said:
    with ExitStack() as devices:
        for version, product in (("3.1", "unheardof"), ("3.4", KNOWN)):
            device_id = f"scantest{version.replace('.', '')}"
            address = f"192.0.2.{version[-1]}"
            one = Broadcaster(Ports(), device_id, version, address=address, product=product)
            devices.enter_context(one)
        return esquirell("scan", "--seconds", "2", *arguments)


def test_devices_are_listed_without_a_configuration(home: Home) -> None:
    said = scanned("--json")
    # There may be real devices around, too.
    ours = [device for device in said.json if device["id"].startswith("scantest")]
    assert (said.code, home.files) == (0, set())
    assert ours == [
        {
            "id": "scantest31",
            "address": "192.0.2.1",
            "protocol": "3.1",
            "product_id": "unheardof",
            "product": "",
        },
        {
            "id": "scantest34",
            "address": "192.0.2.4",
            "protocol": "3.4",
            "product_id": KNOWN,
            "product": "OWON PC321-W-TY three-phase meter",
        },
    ]


def test_a_table_for_people_has_a_line_for_each_device(home: Home) -> None:
    del home
    rows = scanned().rows
    assert rows[0] == ["id", "address", "protocol", "product_id", "product"]
    assert ["scantest31", "192.0.2.1", "3.1", "unheardof", "-"] in rows


def test_a_scan_without_devices_says_what_to_check(home: Home) -> None:
    del home
    said = esquirell("scan", "--seconds", "1", "--json")
    # There may be real devices around, too.
    assert said.code == (0 if said.json else 1)
    assert bool(said.json) != ("no Tuya device was heard" in said.err)
