import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import START

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.plots.terminal import ROWS

SPAN = ("--since", "2026-11-19", "--until", "2026-11-21")
KEYS = ("active_power", "energy_import", "energy_export")


@pytest.fixture
def house(home: Home) -> Home:
    """A day of quarters: import that alternates with export."""
    home.configure(meter())
    readings = [
        Reading(
            "main",
            START - timedelta(days=3) + number * timedelta(minutes=15),
            {
                "active_power": 500.0 if number % 2 else -300.0,
                "energy_import": 10 + number / 4,
                "energy_export": 5 + number / 8,
            },
        )
        for number in range(96)
    ]
    home.store(readings, {"main": MeterStatus(keys=KEYS)})
    return home


def picture(file: str) -> list[ET.Element]:
    return list(ET.fromstring(file).iter())  # noqa: S314 - written by this very test


def test_a_plot_in_the_terminal_has_a_scale_and_its_times(house: Home) -> None:
    assert house.database.exists()
    said = esquirell("readings", *SPAN, "--plot").out.splitlines()
    assert said[0] == "Power (W)"
    assert len(said) == 1 + ROWS + 2
    assert said[1].startswith("     600 ┤")
    assert said[-1].split() == ["Thu", "19", "Nov", "Fri", "20", "Nov", "Sat", "21", "Nov"]


def test_a_picture_is_valid_and_closed_to_others(house: Home) -> None:
    file = house.path / "power.svg"
    assert esquirell("readings", *SPAN, "--plot", str(file)) == (0, "", "")
    assert file.stat().st_mode & 0o077 == 0
    texts = [one.text for one in picture(file.read_text()) if one.text]
    assert "Power, W" in texts
    assert "\N{MINUS SIGN}200" in texts
    assert "already exists" in esquirell("readings", *SPAN, "--plot", str(file)).sentence


def test_energies_of_days_are_bars(house: Home) -> None:
    file = house.path / "days.svg"
    assert esquirell("statistics", *SPAN, "--plot", str(file)).code == 0
    bars = [one for one in picture(file.read_text()) if "p-bar" in one.get("class", "").split()]
    # Of two days; what was exported hangs below what was imported.
    assert len(bars) == 4
    assert len({one.get("x") for one in bars}) == 2
    assert len([one for one in bars if "p-down" in one.get("class", "")]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--plot", "main"), "--plot main is not a picture: write --plot FILE.svg"),
        (("--plot", "a.svg", "--json"), "--plot goes with neither"),
        (("--plot", "a.svg", "--quantity", "active_power,energy_import"), "shows one unit"),
    ],
)
def test_misuse_is_one_sentence(house: Home, arguments: tuple[str, ...], sentence: str) -> None:
    assert house.database.exists()
    said = esquirell("readings", *SPAN, *arguments)
    assert said.code == 2
    assert sentence in said.sentence


def test_a_meter_without_anything_to_draw(home: Home) -> None:
    home.configure(meter())
    home.store((), {"main": MeterStatus(keys=("voltage",))})
    assert "choose another --quantity" in esquirell("readings", "--plot").sentence
    assert "Nothing is stored" in esquirell("readings", "--quantity", "voltage", "--plot").out
