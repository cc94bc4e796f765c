import pytest

from esquirell.domain.inversion import invert

PHASES = {
    "active_power_a": 100.0,
    "active_power_b": -40.0,
    "active_power_c": 20.0,
    "active_power": 80.0,
    "power_factor_b": -0.9,
    "current_b": 0.2,
    "reactive_power_b": 5.0,
    "energy_import_a": 10.0,
    "energy_import_b": 1.0,
    "energy_import_c": 5.0,
    "energy_import": 16.0,
    "energy_export_a": 0.0,
    "energy_export_b": 7.0,
    "energy_export_c": 0.5,
    "energy_export": 7.5,
}


def test_nothing_is_inverted_by_default() -> None:
    assert invert(PHASES, which=False, keys=PHASES.keys()) == (PHASES, ())


def test_a_whole_meter_is_turned_round() -> None:
    turned, sentences = invert(PHASES, which=True, keys=PHASES.keys())
    assert turned["active_power"] == -80.0
    assert turned["power_factor_b"] == 0.9
    assert turned["current_b"] == 0.2
    assert (turned["energy_import"], turned["energy_export"]) == (7.5, 16.0)
    assert (turned["energy_import_b"], turned["energy_export_b"]) == (7.0, 1.0)
    assert sentences == ()


def test_a_single_phase_is_turned_round_and_the_totals_follow() -> None:
    turned, sentences = invert(PHASES, ("b",), PHASES.keys())
    assert turned == PHASES | {
        "active_power_b": 40.0,
        "active_power": 160.0,
        "power_factor_b": 0.9,
        "reactive_power_b": -5.0,
        "energy_import_b": 7.0,
        "energy_export_b": 1.0,
        "energy_import": 22.0,
        "energy_export": 1.5,
    }
    assert sentences == ()


def test_a_total_without_one_of_its_phases_is_left_out() -> None:
    partial = {key: value for key, value in PHASES.items() if not key.endswith("_a")}
    turned, _ = invert(partial, ("b",), PHASES.keys())
    assert not turned.keys() & {"active_power", "energy_import", "energy_export"}


def test_a_counter_that_is_not_the_sum_of_its_phases_stays_with_a_warning() -> None:
    turned, sentences = invert(PHASES | {"energy_import": 900.0}, ("b",), PHASES.keys())
    assert turned["energy_import"] == 900.0
    assert turned["active_power"] == 160.0
    assert sentences == (
        "energy_import is not the sum of the phases: inverting a phase leaves it as it is",
    )


def test_two_channels_make_up_their_total() -> None:
    values = {"active_power_a": 100.0, "active_power_b": -40.0, "active_power": 60.0}
    assert invert(values, ("b",), values.keys())[0]["active_power"] == 140.0


@pytest.mark.parametrize("factor", [0.9, -0.9])
def test_a_power_factor_has_the_sign_of_its_power(factor: float) -> None:
    values = {"active_power": -50.0, "power_factor": factor}
    assert invert(values, which=True, keys=values.keys())[0] == {
        "active_power": 50.0,
        "power_factor": 0.9,
    }


def test_no_power_is_no_negative_zero() -> None:
    turned, _ = invert({"active_power": 0.0}, which=True, keys=["active_power"])
    assert str(turned["active_power"]) == "0.0"
