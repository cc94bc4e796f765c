from datetime import timedelta

import pytest
from plots.drawing import energies, figure, local, powers

from esquirell.plots.figure import Figure
from esquirell.plots.terminal import MARGIN, ROWS, draw, steps

YEAR = (local(2026, 1, 1), local(2027, 1, 1))
OCTOBER = (local(2026, 10, 1), local(2026, 11, 1))
DAY = (local(2026, 11, 22), local(2026, 11, 23))


def drawn(found: Figure, columns: int = 80, encoding: str = "utf-8") -> list[str]:
    return list(draw(found, columns, encoding=encoding))


def test_the_bar_of_a_month_is_above_its_label() -> None:
    lines = drawn(figure(energies("month", YEAR)))
    labels = lines[1 + ROWS]
    for name, height in (("Jan", 1), ("Jun", 6), ("Dec", 12)):
        column = labels.index(name) + 1
        filled = [line[column : column + 1] for line in lines[1 : 1 + ROWS]]
        assert len([char for char in filled if char not in {" ", ""}]) >= height * 0.7
    # December alone reaches the height of December.
    top = next(line for line in lines[1:] if "█" in line or "▇" in line or "▆" in line)
    assert top.rstrip().endswith(("█", "▇", "▆"))
    assert len(top) > MARGIN + 55


def test_each_day_has_its_column_and_gaps_stay_free() -> None:
    lines = drawn(figure(energies("day", OCTOBER, missing=[9])))
    bottom = lines[ROWS]
    assert len(bottom[MARGIN:].split()) == 30
    assert lines[1 + ROWS].split() == [str(day) for day in range(1, 30, 2)]
    assert bottom[MARGIN + 9 * 2] == " "
    for day in ("5", "15", "25"):
        # Each label stands below its own bar.
        at = lines[1 + ROWS].index(day)
        assert "█" in bottom[at : at + len(day)]


def test_an_estimated_period_looks_different() -> None:
    lines = drawn(figure(energies("month", YEAR, estimated=[11])))
    assert "░" in lines[ROWS]
    assert lines[-1].endswith("░ estimated")


def test_what_is_exported_is_drawn_below_in_the_same_chart() -> None:
    keys = ("energy_import", "energy_export")
    lines = drawn(figure(energies("month", YEAR, keys=keys)))
    assert lines[0] == "energy_import, energy_export (kWh)"
    assert len(lines) == 1 + ROWS + 2
    zero = next(number for number, line in enumerate(lines) if line.startswith("       0 ┤"))
    assert "█" in lines[zero - 1]
    assert "█" in lines[zero + 1]


def test_several_meters_have_one_scale() -> None:
    at = local(2026, 11, 22)
    found = figure(powers(DAY, [(at, 1.0)], ["main", "plug"]))
    found.series[0].points[0].high = 1000.0
    lines = drawn(found)
    scales = [line[:MARGIN] for line in lines if "┤" in line]
    assert scales[:ROWS] == scales[ROWS:]
    assert any("1,000" in scale for scale in scales)


def test_61_meters_are_eight_charts() -> None:
    flats = [f"flat{number}" for number in range(1, 62)]
    lines = drawn(figure(energies("day", OCTOBER, flats)))
    assert len([line for line in lines if line.startswith("flat")]) == 8
    assert lines[-1] == "53 more are not shown: name one of them"


def test_a_curve_reaches_from_its_least_to_its_greatest_value() -> None:
    values = [(DAY[0] + timedelta(minutes=n), 100.0 if n >= 720 else 0.0) for n in range(1440)]
    lines = drawn(figure(powers(DAY, values), steps=steps(80)))
    assert lines[0] == "active_power (W)"
    assert lines[1].startswith("     100 ┤")
    assert lines[ROWS].startswith("       0 ┤")
    left, right = lines[ROWS][MARGIN:].rstrip("⠀ "), lines[1][MARGIN:].strip("⠀ ")
    assert len(left) == pytest.approx(35, abs=2)
    assert len(right) == pytest.approx(35, abs=2)


def test_a_terminal_without_these_characters_gets_plain_ones() -> None:
    lines = drawn(figure(energies("month", YEAR, estimated=[0])), encoding="latin-1")
    for line in lines:
        line.encode("latin-1")
    assert "#" in lines[ROWS]
    assert ":" in lines[ROWS]
    values = [(DAY[0] + timedelta(hours=n), -float(n)) for n in range(24)]
    curves = drawn(figure(powers(DAY, values), steps=steps(80)), encoding="ascii")
    assert any("*" in line for line in curves)
    assert any(line.lstrip().startswith("-20 |") for line in curves)


def test_nothing_stored_is_said() -> None:
    assert drawn(figure(powers(DAY, []))) == [
        "active_power (W)",
        "  Nothing is stored for this time",
    ]
