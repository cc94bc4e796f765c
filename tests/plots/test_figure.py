from dataclasses import replace
from datetime import timedelta

import pytest
from plots.drawing import energies, figure, local, powers

from esquirell.plots.figure import MOST, Point, Series, outermost
from esquirell.plots.gather import MOST_BARS
from esquirell.plots.words import ENGLISH

OCTOBER = (local(2026, 10, 1), local(2026, 11, 1))
FLATS = [f"flat{number}" for number in range(1, 62)]


def test_energies_of_periods_are_bars_and_readings_are_lines() -> None:
    assert figure(energies("day", OCTOBER)).kind == "bars"
    assert figure(powers(OCTOBER, [(OCTOBER[0], 5.0)])).kind == "lines"


def test_more_periods_than_there_is_room_for_are_a_curve() -> None:
    found = figure(energies("hour", OCTOBER))
    assert found.kind == "lines"
    assert MOST_BARS < 24 * 31
    assert max(found.series[0].points) < 960


def test_many_values_share_a_step_and_show_their_range() -> None:
    at = local(2026, 10, 1)
    found = figure(powers(OCTOBER, [(at, 1.0), (at, 5.0), (at, 3.0)]), steps=10)
    (point,) = found.series[0].points.values()
    assert (point.low, point.mean, point.high) == (1, 3, 5)


def test_a_gap_stays_a_gap() -> None:
    values = {number: Point(1, 1, 1) for number in (0, 2, 4, 9, 11)}
    assert Series("power", 0, values).runs() == [[0, 2, 4], [9, 11]]


def test_exports_point_down() -> None:
    both = energies("day", OCTOBER, keys=("energy_import", "energy_export"))
    found = figure(both)
    assert [one.down for one in found.series] == [False, True]
    assert found.range() == (-31, 31)


def test_of_several_meters_import_and_export_have_the_same_colour() -> None:
    keys = ("energy_import", "energy_export")
    found = figure(energies("day", OCTOBER, ["main", "barn"], keys))
    assert [one.colour for one in found.series] == [0, 0, 1, 1]


def test_61_meters_are_the_largest_eight_and_the_rest_stacked() -> None:
    whole = figure(energies("day", OCTOBER, FLATS))
    reduced = whole.reduced(ENGLISH)
    assert len(reduced.series) == MOST + 1
    assert reduced.series[-1].name == "53 others"
    assert [one.colour for one in reduced.series] == [0, 1, 2, 3, 4, 5, 6, 7, -1]
    assert reduced.series[-1].points[4].mean == 53 * 5
    assert reduced.range() == (0, 61 * 31)


def test_of_61_meters_that_export_too_eight_meters_are_distinguished() -> None:
    keys = ("energy_import", "energy_export")
    reduced = figure(energies("day", OCTOBER, FLATS, keys)).reduced(ENGLISH)
    assert [one.colour for one in reduced.series] == [*(n for n in range(8) for _ in keys), -1]
    assert reduced.series[-1].name == "53 others"


def test_the_largest_are_those_that_used_most() -> None:
    found = figure(energies("day", OCTOBER, FLATS))
    for number, one in enumerate(found.series):
        one.points[0] = Point(number, number, number)
    kept = [one.name for one in found.reduced(ENGLISH).series[:-1]]
    assert kept == FLATS[-8:]


def test_quantities_that_do_not_add_up_get_panels() -> None:
    at = local(2026, 10, 1)
    found = figure(powers(OCTOBER, [(at, 230.0)], FLATS, "voltage")).reduced(ENGLISH)
    assert found.panels
    assert len(found.series) == 61


def test_what_the_meters_below_the_main_one_do_not_explain() -> None:
    upstream = {"pump": "main", "car": "main"}
    found = figure(energies("day", OCTOBER, ["main", "pump", "car"]), upstream=upstream)
    found.series[0].points[9] = Point(40, 40, 40)
    parts = found.parts(ENGLISH)
    main = parts.series[0]
    assert (main.name, main.colour) == ("main, not explained", -1)
    # 10 kWh each; less than nothing is not drawn.
    assert main.points[9].mean == 20
    assert main.points[0].mean == 0
    assert parts.stacked
    assert parts.range() == (0, 2 * 31)


def test_what_is_behind_two_meters_is_explained_by_the_nearest_one_that_measured() -> None:
    upstream = {"board": "main", "plug": "board"}
    meters = ["main", "board", "plug"]
    found = figure(energies("day", OCTOBER, meters), upstream=upstream)
    main, board, plug = found.series
    main.points[9] = board.points[9] = Point(40, 40, 40)
    main.points[10] = Point(40, 40, 40)
    del board.points[10]
    parts = found.parts(ENGLISH).series
    # On the tenth 40 = 0 + 30 + 10; without the board on the eleventh 40 = 29 + 11.
    assert [one.points[9].mean for one in parts] == [0, 30, 10]
    assert [one.points[10].mean for one in parts if 10 in one.points] == [29, 11]
    assert outermost([main, plug]) == [main]
    assert outermost([board, plug]) == [board]


def test_what_an_inverter_generates_is_no_part_of_what_is_imported() -> None:
    generated = energies("day", OCTOBER, ["main", "roof"], ("energy_import", "energy_generated"))
    found = figure(generated, upstream={"roof": "main"})
    wanted = [one for one in found.series if (one.meter, one.key) != ("roof", "energy_import")]
    parts = replace(found, series=wanted).parts(ENGLISH).series
    assert parts[0].points == wanted[0].points


def test_large_values_are_shown_in_larger_units() -> None:
    at = local(2026, 10, 1)
    found = figure(powers(OCTOBER, [(at, 2500.0)])).scaled()
    assert (found.unit, found.series[0].points[0].mean) == ("kW", 2.5)
    assert figure(powers(OCTOBER, [(at, 1500.0)])).scaled().unit == "W"


def test_voltages_do_not_begin_at_zero_and_powers_do() -> None:
    values = [(OCTOBER[0], 229.0), (OCTOBER[0] + timedelta(days=9), 231.0)]
    assert figure(powers(OCTOBER, values, key="voltage")).range() == (229, 231)
    assert figure(powers(OCTOBER, values)).range() == (0, 231)


def test_nothing_is_a_range_all_the_same() -> None:
    found = figure(powers(OCTOBER, []))
    assert found.is_empty
    assert found.range() == (0, 1)


def test_estimated_hours_are_marked() -> None:
    found = figure(energies("day", OCTOBER, estimated=[3]))
    assert found.is_estimated
    assert [number for number, one in found.series[0].points.items() if one.estimated] == [3]
    assert not figure(energies("day", OCTOBER)).is_estimated
    assert found.series[0].size == pytest.approx(sum(range(1, 32)))
