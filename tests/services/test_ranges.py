from hypothesis import given
from hypothesis import strategies as st

from esquirell.services.delivery import Ranges


def test_only_what_stored_readings_do_not_show_is_stored_with_them() -> None:
    ranges = Ranges()
    for watts in (100.0, 4000.0, 50.0):
        ranges.see({"active_power": watts, "voltage": 230.0, "energy_import": watts})
    taken = ranges.take({"active_power": 100.0, "voltage": 230.0}, 60.0)
    assert taken == {"active_power": (50.0, 4000.0)}
    assert ranges.take({"active_power": 100.0}, 120.0) == {}
    ranges.see({"active_power": 3000.0})
    assert ranges.take({"active_power": 100.0}, 180.0) == {}
    ranges.see({"active_power": 5000.0})
    assert ranges.take({"active_power": 100.0}, 240.0) == {"active_power": (5000.0, 5000.0)}


def test_each_quarter_of_an_hour_has_ranges_of_its_own() -> None:
    ranges = Ranges()
    ranges.see({"voltage": 240.0})
    assert ranges.take({"voltage": 230.0}, 899.0) == {"voltage": (240.0, 240.0)}
    ranges.see({"voltage": 235.0})
    assert ranges.take({"voltage": 230.0}, 900.0) == {"voltage": (235.0, 235.0)}


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.booleans(), st.integers(1, 600)), min_size=1),
)
def test_with_what_is_stored_nothing_of_a_quarter_is_missed(
    values: list[tuple[float, bool, int]],
) -> None:
    ranges = Ranges()
    seen: dict[int, list[float]] = {}
    stored: dict[int, list[float]] = {}
    at, since_stored = 0, []
    for value, is_stored, pause in [*values, (0.0, True, 1)]:
        at += pause
        ranges.see({"active_power": value})
        since_stored.append(value)
        if is_stored:
            quarter = at // 900
            taken = ranges.take({"active_power": value}, at)
            stored.setdefault(quarter, []).extend([value, *taken.get("active_power", ())])
            # What was seen counts where it is stored with the next reading.
            seen.setdefault(quarter, []).extend(since_stored)
            since_stored = []
    for quarter, found in seen.items():
        assert (min(stored[quarter]), max(stored[quarter])) == (min(found), max(found))
