"""What several meters measure counts once, whichever of them are shown."""

import pytest

from esquirell.domain.submeters import above, behind

UPSTREAM = {"plug": "board", "board": "main", "car": "main"}


@pytest.mark.parametrize(
    ("shown", "contained"),
    [
        ("main board plug car", "board plug car"),
        # What is in between need not be shown.
        ("main plug", "plug"),
        ("board plug car", "plug"),
        ("plug car", ""),
        ("main other", ""),
        ("", ""),
    ],
)
def test_energy_counts_once_at_any_depth(shown: str, contained: str) -> None:
    assert behind(shown.split(), UPSTREAM) == set(contained.split())


def test_the_meters_above_one_are_named_from_the_nearest_on() -> None:
    assert above("plug", UPSTREAM) == ("board", "main")
    assert above("main", UPSTREAM) == ()
