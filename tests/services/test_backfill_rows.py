"""Rows of Home Assistant that others imported may lack a figure."""

from datetime import timedelta

import pytest
from support.long_term import at

from esquirell.domain.long_term import Row
from esquirell.services.backfill import whole

HOURS = [Row(at(hour), state=1.0, sum=float(hour)) for hour in range(4)]


@pytest.mark.parametrize("lacking", [{"state": None}, {"sum": None}, {"state": None, "sum": None}])
def test_only_rows_after_the_last_one_that_lacks_a_figure_count(
    lacking: dict[str, None],
) -> None:
    figures = {"state": 1.0, "sum": 1.0} | lacking
    odd = Row(at(1) + timedelta(minutes=1), state=figures["state"], sum=figures["sum"])
    assert whole([*HOURS[:2], odd, *HOURS[2:]]) == HOURS[2:]
    assert whole(HOURS) == HOURS
    assert whole([*HOURS, odd]) == []
