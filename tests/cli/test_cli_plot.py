import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import START

from esquirell.cli import braille, svg
from esquirell.cli.curves import Curve, Frame, gather, ticks
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.services.history import Row

SPAN = ("--since", "2026-11-19", "--until", "2026-11-21")
KEYS = ("active_power", "energy_import", "energy_export")
DAY = Frame(START, START + timedelta(days=1), 40)


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


def curve(*values: float | None, bars: bool = False) -> Curve:
    """Make a curve of a value each hour."""
    made = Curve("power", "W", bars)
    found = [
        Row("main", START + hour * timedelta(hours=1), {"power": value})
        for hour, value in enumerate(values)
        if value is not None
    ]
    gather(found, {("main", "power"): made}, DAY)
    return made


def picture(file: str) -> list[ET.Element]:
    return list(ET.fromstring(file).iter())  # noqa: S314 - written by this very test


def test_a_plot_in_the_terminal_has_a_scale_and_its_times(house: Home) -> None:
    assert house.database.exists()
    said = esquirell("readings", *SPAN, "--plot").out.splitlines()
    assert said[0] == "active_power (W)"
    assert len(said) == 1 + braille.ROWS + 1
    assert said[1].startswith("     600 ┤")
    assert said[-2].startswith("    -400 ┤")
    assert "2026-11-19 00:00" in said[-1]


def test_a_picture_is_valid_and_closed_to_others(house: Home) -> None:
    file = house.path / "power.svg"
    assert esquirell("readings", *SPAN, "--plot", str(file)) == (0, "", "")
    assert file.stat().st_mode & 0o077 == 0
    texts = [one.text for one in picture(file.read_text()) if one.text]
    assert "active_power (W)" in texts
    assert "-400" in texts
    assert "is there already" in esquirell("readings", *SPAN, "--plot", str(file)).sentence


def test_amounts_are_bars_side_by_side(house: Home) -> None:
    file = house.path / "days.svg"
    assert esquirell("statistics", *SPAN, "--plot", str(file)).code == 0
    bars = [one.attrib for one in picture(file.read_text()) if one.get("fill-opacity")]
    assert len(bars) == 4
    assert len({one["x"] for one in bars}) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--plot", "main"), "--plot main is no picture: write --plot FILE.svg"),
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
    assert "nothing is stored" in esquirell("readings", "--quantity", "voltage", "--plot").out


def test_a_gap_stays_a_gap() -> None:
    runs = list(curve(1, 2, 1, None, None, None, None, 2, 1).runs())
    assert [len(run) for run in runs] == [3, 2]


def test_many_values_share_a_step_and_show_their_range() -> None:
    made = Curve("power", "W", bars=False)
    found = [Row("main", START, {"power": value}) for value in (1.0, 5.0, 3.0)]
    gather(found, {("main", "power"): made}, DAY)
    step = made.steps[0]
    assert (step.least, step.mean, step.most) == (1, 3, 5)


@pytest.mark.parametrize(
    ("least", "most", "marks"),
    [(0, 14.4, [0, 5, 10, 15]), (-0.3, 0.5, [-0.4, -0.2, 0, 0.2, 0.4, 0.6]), (229, 231, None)],
)
def test_marks_are_round_and_cover_the_values(
    least: float, most: float, marks: list[float] | None
) -> None:
    found = ticks(least, most, about=4)
    assert found[0] <= least < most <= found[-1]
    assert marks is None or found == marks


@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (-1e6, 1e6), (1e-6, 2e-6)])
def test_any_values_can_be_drawn(values: tuple[float, ...]) -> None:
    for bars in (False, True):
        made = curve(*values, bars=bars)
        assert len(list(braille.draw(made, DAY, "Europe/Warsaw"))) > braille.ROWS
        assert picture("".join(svg.draw([made], DAY, "Europe/Warsaw")))
