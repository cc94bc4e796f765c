"""Figures in the units of Home Assistant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.long_term import Scale

FAHRENHEIT = Scale(1.8, 32.0)
FIGURES = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("scale", "ours", "theirs"),
    [
        (Scale(1), 7.5, 7.5),
        (Scale(0.001), 1500.0, 1.5),
        (FAHRENHEIT, 0.0, 32.0),
        (FAHRENHEIT, 100.0, 212.0),
        (FAHRENHEIT, -40.0, -40.0),
    ],
)
def test_a_figure_is_converted_both_ways(scale: Scale, ours: float, theirs: float) -> None:
    assert scale.to(ours) == pytest.approx(theirs)
    assert scale.back(theirs) == pytest.approx(ours)


@given(factor=st.floats(1e-3, 1e3), offset=FIGURES, figure=FIGURES)
def test_there_and_back_it_is_the_same(factor: float, offset: float, figure: float) -> None:
    scale = Scale(factor, offset)
    assert scale.back(scale.to(figure)) == pytest.approx(figure, rel=1e-6, abs=1e-3)
