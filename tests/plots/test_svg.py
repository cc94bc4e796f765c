from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

import pytest
from plots.drawing import (
    by_class,
    energies,
    figure,
    local,
    middles,
    parsed,
    points,
    powers,
    texts,
)

from esquirell.plots import svg
from esquirell.plots.shapes import readout
from esquirell.plots.words import Words

YEAR = (local(2026, 1, 1), local(2027, 1, 1))
OCTOBER = (local(2026, 10, 1), local(2026, 11, 1))
DAY = (local(2026, 11, 22), local(2026, 11, 23))
FLATS = [f"flat{number}" for number in range(1, 62)]
WIDTHS = [svg.WIDE, svg.NARROW]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_bar_of_a_month_is_above_its_label(width: int) -> None:
    picture = svg.draw(figure(energies("month", YEAR)), width=width)
    labels = [float(one.get("x", 0)) for one in by_class(picture, "label")]
    bars = middles(picture)
    assert len(bars) == 12
    assert texts(picture, "label")[0] == "Jan"
    named = bars if len(labels) == 12 else bars[::3]
    # A bar is a little narrower than its lane, so that bars beside each other stand apart.
    assert labels == pytest.approx(named, abs=2.2)


def test_bars_are_as_high_as_what_they_show() -> None:
    picture = svg.draw(figure(energies("month", YEAR)))
    heights = [float(one.get("height", 0)) for one in by_class(picture, "bar")]
    assert [height / heights[0] for height in heights] == pytest.approx(range(1, 13), rel=0.01)
    bottoms = {
        round(float(one.get("y", 0)) + float(one.get("height", 0)))
        for one in by_class(picture, "bar")
    }
    assert len(bottoms) == 1


def test_a_missing_period_is_a_gap() -> None:
    picture = svg.draw(figure(energies("day", OCTOBER, missing=[4, 5])))
    bars = middles(picture)
    assert len(bars) == 29
    widest = max(after - before for before, after in pairwise(bars))
    assert widest == pytest.approx(3 * (bars[1] - bars[0]), rel=0.02)


def test_an_estimated_period_is_hatched_and_the_legend_says_so() -> None:
    picture = svg.draw(figure(energies("day", OCTOBER, estimated=[3])), name="a-")
    assert len(by_class(picture, "hatch")) == 2  # one is in the legend
    assert {one.get("fill") for one in by_class(picture, "hatch")} == {"url(#a-hatch)"}
    assert 'id="a-hatch"' in picture
    assert texts(picture, "name") == ["energy_import", "estimated"]
    assert not by_class(svg.draw(figure(energies("day", OCTOBER))), "hatch")


def test_what_a_meter_never_exported_is_not_in_the_legend() -> None:
    found = figure(energies("day", OCTOBER, keys=("energy_import", "energy_export")))
    assert texts(svg.draw(found), "name") == ["energy_import", "energy_export"]
    for point in found.series[1].points.values():
        point.total = point.low = point.high = 0.0
    assert texts(svg.draw(found), "name") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_with_61_meters_the_legend_is_in_the_picture(width: int) -> None:
    names = [f"{flat} on the long corridor behind the stairs of the house" for flat in FLATS]
    picture = svg.draw(figure(energies("day", OCTOBER, names)), width=width)
    root = parsed(picture)
    _, _, wide, high = map(float, root.get("viewBox", "").split())
    assert wide == width
    for one in root.iter():
        if "x" in one.attrib:
            assert 0 <= float(one.get("x", 0)) <= wide
            assert float(one.get("x", 0)) + float(one.get("width", 0)) <= wide + 0.1
        if "y" in one.attrib:
            assert 0 <= float(one.get("y", 0)) <= high
    assert len(by_class(picture, "key")) == 9
    for entry in by_class(picture, "name"):
        assert float(entry.get("x", 0)) + 5.5 * len(entry.text or "") <= wide


def test_61_curves_are_panels_with_one_scale() -> None:
    found = powers(DAY, [(DAY[0] + timedelta(hours=n), 230.0 + n % 3) for n in range(24)], FLATS)
    picture = svg.draw(figure(found))
    assert len(texts(picture, "panel")) == len(by_class(picture, "line")) == 61
    assert len(set(texts(picture, "value"))) < 6


def test_a_curve_has_its_mean_and_a_band_from_least_to_greatest() -> None:
    values = [(DAY[0] + timedelta(minutes=n), float(n % 3)) for n in range(1440)]
    picture = svg.draw(figure(powers(DAY, values), steps=96))
    (line,), (band,) = by_class(picture, "line"), by_class(picture, "band")
    assert len(points(line)) == 96
    assert len({y for _, y in points(line)}) == 1
    heights = sorted({y for _, y in points(band)})
    middle = points(line)[0][1]
    assert heights[0] < middle < heights[-1]


def test_a_curve_is_interrupted_where_nothing_was_read() -> None:
    hours = [n for n in range(24) if not 8 <= n < 12]
    values = [(DAY[0] + timedelta(hours=n, minutes=m), 1.0) for n in hours for m in range(0, 60, 5)]
    picture = svg.draw(figure(powers(DAY, values)))
    assert len(by_class(picture, "line")) == 2


def test_a_file_has_its_style_with_it_in_the_light_the_dark_and_on_paper() -> None:
    picture = svg.draw_alone(figure(energies("day", OCTOBER)))
    assert "@media (prefers-color-scheme: dark)" in picture
    assert "@media print" in picture
    root = parsed(picture)
    assert (root.get("width"), root.get("role")) == ("960", "img")
    assert root.get("aria-label") == "Energy import (kWh): energy_import"


def test_a_page_needs_neither_inline_styles_nor_scripts() -> None:
    picture = svg.draw(figure(energies("day", OCTOBER, estimated=[1])))
    assert "<style" not in picture
    assert "style=" not in picture
    assert "<script" not in picture
    # Every class that gives a colour is in the style sheet.
    classes = {name for one in parsed(picture).iter() for name in one.get("class", "").split()}
    assert {"p-bar", "p-hit", "c0", "rest"} <= classes
    for name in classes - {"p-hatch", "p-name"}:
        assert f".{name}" in svg.style()


def test_names_are_escaped() -> None:
    name = "<script>alert('x')</script>\"&"
    picture = svg.draw(figure(energies("day", OCTOBER, [name, "b"])))
    assert "<script" not in picture
    assert texts(picture, "name")[0] == name


def test_a_point_under_the_cursor_has_a_position_a_name_and_values() -> None:
    found, words = figure(energies("month", YEAR, missing=[1], estimated=[2])), Words(decimal=",")
    picture, data = svg.draw(found, words), cast("Any", readout(found, words))
    assert data["steps"][:2] == ["Jan 2026", "Mar 2026"]
    assert data["series"][0]["values"][:2] == ["1,00 kWh", "3,00 kWh (estimated)"]
    root = parsed(picture)
    left, width = float(root.get("data-x", 0)), float(root.get("data-width", 0))
    assert [left + at * width for at in data["at"]] == pytest.approx(middles(picture), abs=2.2)
    titles = [one.text for one in root.iter("title")]
    assert titles[0] == "Jan 2026\nenergy_import: 1,00 kWh"


def test_of_a_range_the_mean_and_both_ends_are_reported() -> None:
    values = [(DAY[0] + timedelta(minutes=n), float(n % 3)) for n in range(1440)]
    data = cast("Any", readout(figure(powers(DAY, values), steps=96), Words()))
    assert data["series"][0]["values"][0] == "1 W (0 \N{EN DASH} 2)"
    assert data["steps"][4] == "Sun 22 Nov 2026, 01:00"


def test_an_empty_plot_is_labelled_as_empty() -> None:
    picture = svg.draw(figure(powers(DAY, [])))
    assert texts(picture, "nothing") == ["Nothing is stored for this time"]


@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (-1e6, 1e6), (1e-6, 2e-6)])
@pytest.mark.parametrize("width", WIDTHS)
def test_any_values_can_be_drawn(values: tuple[float, ...], width: int) -> None:
    rows = [(DAY[0] + timedelta(hours=n), value) for n, value in enumerate(values)]
    assert len(parsed(svg.draw(figure(powers(DAY, rows)), width=width)))
    assert len(parsed(svg.draw_alone(figure(powers(DAY, rows)), width=width)))
