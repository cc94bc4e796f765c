"""Powers whose sign is a datapoint of its own."""

import pytest
from support.specifications import integers, read

from esquirell.profiles.capture import try_capture

DUAL = (
    ("power_a", "W", 1, 11_963),
    ("power_b", "W", 1, 500),
    ("current_a", "mA", 0, 5580),
    ("current_b", "mA", 0, 400),
    ("voltage_a", "V", 1, 2292),
    ("power_factor", "", 2, 94),
    ("power_factor_b", "", 2, 54),
)


def test_two_channels_share_their_voltage_and_have_directions() -> None:
    ways = {"direction_a": ("Enum", "FORWARD"), "direction_b": ("Enum", "reverse")}
    found = read(*integers(*DUAL, **ways))
    assert found.values == {
        "active_power_a": 1196.3,
        "active_power_b": -50.0,
        "current_a": 5.58,
        "current_b": 0.4,
        "voltage": 229.2,
        "power_factor_a": 0.94,
        "power_factor_b": 0.54,
    }
    assert found.warnings == ()


@pytest.mark.parametrize("exported", [None, 610])
def test_a_power_without_its_direction_is_left_out(exported: int | None) -> None:
    """It may be an export, which nobody is to take for an import."""
    counters = () if exported is None else (("energy_reverse_b", "kWh", 2, exported),)
    mapping, answer = integers(*DUAL, *counters, direction_b=("Enum", "REVERSE"))
    del answer["6"]
    found = read(mapping, answer)
    assert "active_power_b" not in found.values
    assert "direction" in found.warnings[0]


def test_a_channel_that_never_exported_imports_also_without_its_direction() -> None:
    never = ("energy_reverse_b", "kWh", 2, 0)
    mapping, answer = integers(*DUAL, never, direction_b=("Enum", "REVERSE"))
    del answer["6"]
    found = read(mapping, answer)
    assert found.values["active_power_b"] == 50.0
    assert found.warnings == ()


@pytest.mark.parametrize(("said", "watts"), [("export", -50), ("import", 50), ("BACKWARD", -50)])
def test_a_direction_has_several_names(said: str, watts: float) -> None:
    found = read(*integers(("total_power", "W", 1, 500), direction=("Enum", said)))
    assert (found.values, found.warnings) == ({"active_power": watts}, ())


@pytest.mark.parametrize("said", ["sideways", True, 1, ["REVERSE"]])
def test_an_unknown_direction_is_reported(said: object) -> None:
    found = read(*integers(("total_power", "W", 1, 500), direction=("Enum", said)))
    assert found.values == {}
    assert "direction" in found.warnings[0]


def test_a_direction_turns_the_power_of_a_frame() -> None:
    way = {"phase_a": ("Raw", "CSIAFfQABKE="), "current_direction": ("Enum", "REVERSE")}
    found = read(*integers(**way), category="zndb")
    assert found.values["active_power_a"] == -1185


@pytest.mark.parametrize(
    ("total", "a", "b"),
    [(12_463, 1196.3, 50.0), (11_463, 1196.3, -50.0), (-11_463, -1196.3, 50.0)],
)
def test_a_total_with_a_sign_says_the_directions_that_are_only_true_or_false(
    total: int, a: float, b: float
) -> None:
    ways = {"power_direction_a": ("Boolean", False), "power_direction_b": ("Boolean", True)}
    found = read(*integers(*DUAL, ("total_power", "W", 1, total), **ways))
    assert found.values["active_power_a"] == a
    assert found.values["active_power_b"] == b
    assert found.warnings == ()


@pytest.mark.parametrize("total", [99, 9000])
def test_a_total_of_another_moment_says_no_direction(total: int) -> None:
    ways = {"power_direction_a": ("Boolean", False), "power_direction_b": ("Boolean", True)}
    found = read(*integers(*DUAL, ("total_power", "W", 1, total), **ways))
    assert {"active_power_a", "active_power_b"}.isdisjoint(found.values)
    assert "direction" in found.warnings[0]


def test_a_direction_said_counts_more_than_a_total() -> None:
    ways = {"direction_a": ("Enum", "REVERSE"), "direction_b": ("Enum", "")}
    found = read(*integers(*DUAL, ("total_power", "W", 1, -12_463), **ways))
    assert found.values["active_power_a"] == -1196.3
    assert found.values["active_power_b"] == -50.0


@pytest.mark.parametrize(("said", "watts"), [("reverse", -883), ("forward", 883)])
def test_an_unknown_datapoint_directs_the_only_power_of_an_unknown_meter(
    said: str, watts: float
) -> None:
    """Breakers with `flow_direction` have the other datapoints of hundreds that have none."""
    breaker = {"1": 388_748, "6": "CK4AFLEAA3M=", "9": 0, "11": False, "13": 0, "16": True}
    for at in ("37", "199"):
        assert try_capture({"dps": {**breaker, at: said}}).values["active_power_a"] == watts
    # A sentence is no direction.
    assert try_capture({"dps": {**breaker, "199": f"not {said}"}}).values["active_power_a"] == 883
