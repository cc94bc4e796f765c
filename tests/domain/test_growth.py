"""The scale of a counter, found from the energy that flowed while it grew."""

import base64
from typing import Any

import pytest
from support.fakes import meter

from esquirell.domain.growth import Growth
from esquirell.profiles import Choices
from esquirell.profiles.choice_changes import Change
from esquirell.profiles.memory import Remembered

WATTS = 1100
EVERY_S = 60.0


def grown(watts: float, counts: list[int], every_s: float = EVERY_S) -> dict[str, float]:
    """Return what is proved after answers at a pace, all with one power."""
    found = Growth.of(["1"])
    assert found is not None
    for n, count in enumerate(counts):
        found = found.after({"1": count}, {"active_power": watts}, n * every_s)
    return dict(found.divisors({"1": counts[-1]}))


@pytest.mark.parametrize("divisor", [1, 10, 100, 1000])
@pytest.mark.parametrize("every_s", [1.0, 60.0, 600.0])
def test_energy_proves_the_scale(divisor: int, every_s: float) -> None:
    hours = 8 * max(1.0, 10 / divisor)
    answers = int(hours * 3600 / every_s)
    kwh = [WATTS * n * every_s / 3_600_000 for n in range(answers)]
    counts = [300 + int(one * divisor) for one in kwh]
    assert grown(WATTS, counts, every_s) == ({"1": divisor} if counts[-1] >= 305 else {})


@pytest.mark.parametrize(
    ("watts", "counts", "every_s"),
    [
        # Too few counts; no power; a count that fell; between two scales; a gap of half an hour.
        (WATTS, [300, 301, 302, 303, 304], 600.0),
        (0.0, [300, 400], 600.0),
        (WATTS, [300, 200], 600.0),
        (WATTS, [300, *[300 + n * 5 for n in range(1, 10)]], 570.0),
        (WATTS, [300, 305, 310], 1800.0),
        # It flows back: the other counter grows.
        (-1100.0, [300, 318], 600.0),
    ],
)
def test_ambiguous_values_prove_no_scale(watts: float, counts: list[int], every_s: float) -> None:
    assert grown(watts, counts, every_s) == {}


def test_without_a_power_it_begins_again() -> None:
    found = Growth.of(["1", "2"])
    assert found is not None
    found = found.after({"1": 0, "2": 7}, {"active_power_a": 600, "active_power_b": 500}, 0)
    found = found.after({"1": 18}, {"active_power_a": 600, "active_power_b": 500}, 600)
    assert found.divisors({"1": 18}) == {"1": 100}
    assert found.after({"1": 36}, {}, 1200).divisors({"1": 36}) == {}
    assert Growth.of([]) is None


def answer(count: int) -> dict[str, Any]:
    """Return what a breaker says whose frames have ten bytes, as some count tenths of a kWh."""
    frame = (2301).to_bytes(2) + (5000).to_bytes(3) + WATTS.to_bytes(3) + bytes(2)
    return {"1": count, "6": base64.b64encode(frame).decode(), "9": 0, "16": True}


class Notebook:
    """A memory of this test."""

    def __init__(self) -> None:
        self.left: dict[str, Remembered] = {}

    def get(self, source: str) -> Remembered | None:
        return self.left.get(source)

    def put(self, source: str, remembered: Remembered) -> None:
        self.left[source] = remembered


@pytest.mark.parametrize("divisor", [10, 100])
def test_a_counter_is_published_once_its_growth_proves_its_scale(divisor: int) -> None:
    """Where one family counts tenths and its sister hundredths, 30 is 3.0 kWh or 0.3."""
    now, told, notebook, one = [0.0], list[Change](), Notebook(), meter(profile="auto")
    choices = Choices(
        memory=notebook, announce=lambda _, change: told.append(change), seconds=lambda: now[0]
    )
    first = choices.decode(one, answer(30))
    assert "energy_import" not in first.values
    assert any("its scale is not proved" in warning for warning in first.warnings)
    while now[0] < 3600:
        now[0] += EVERY_S
        count = 30 + int(WATTS * now[0] / 3_600_000 * divisor)
        found = choices.decode(one, answer(count))
    assert found.values["energy_import"] == count / divisor
    assert [change.gained for change in told] == [("energy_import",)]
    assert not any("scale" in warning for warning in found.warnings)
    again = Choices(memory=notebook)
    assert again.decode(one, answer(count)).values["energy_import"] == count / divisor
