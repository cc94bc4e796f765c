from hypothesis import given, settings
from hypothesis import strategies as st

from esquirell import profiles
from esquirell.domain.decoding import decode
from esquirell.tuya.simulator.simulated_house import DAY_S, SimulatedHouse

HOUSES = {seed: SimulatedHouse(seed) for seed in range(4)}
PROFILE = profiles.find("owon_pc321")
PHASES = "abc"

houses = st.sampled_from(list(HOUSES.values()))
moments = st.floats(min_value=0, max_value=30 * DAY_S, allow_nan=False)


def measured(house: SimulatedHouse, elapsed_s: float) -> dict[str, float]:
    decoded = decode(house.dps(elapsed_s), PROFILE)
    assert not decoded.warnings
    return decoded.values


def during(house: SimulatedHouse, begin_s: float, end_s: float, key: str) -> list[float]:
    return [measured(house, second)[key] for second in range(int(begin_s), int(end_s))]


@given(houses, moments)
def test_it_sends_all_dps_of_the_product_as_whole_numbers(
    house: SimulatedHouse, moment: float
) -> None:
    dps = house.dps(moment)
    assert list(dps) == list(PROFILE.datapoints)
    assert all(type(value) is int for value in dps.values())


@given(houses, moments)
def test_power_voltage_current_and_power_factor_fit(house: SimulatedHouse, moment: float) -> None:
    values = measured(house, moment)
    for phase in PHASES:
        voltage, current = values[f"voltage_{phase}"], values[f"current_{phase}"]
        factor = values[f"power_factor_{phase}"]
        assert 215 < voltage < 253
        assert 0 < factor <= 1
        assert abs(abs(values[f"active_power_{phase}"]) - voltage * current * factor) < 0.2
        assert values[f"reactive_power_{phase}"] == 0


@given(houses, moments)
def test_totals_are_the_sums_of_the_phases(house: SimulatedHouse, moment: float) -> None:
    dps = house.dps(moment)
    for total, first in (("131", 106), ("139", 107), ("132", 102), ("133", 103), ("134", 105)):
        assert dps[total] == sum(dps[str(first + offset)] for offset in (0, 10, 20))


@given(houses, moments, moments)
def test_counters_never_go_back(house: SimulatedHouse, one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    before, after = measured(house, earlier), measured(house, later)
    for key in before:
        if key.startswith("energy_"):
            assert before[key] <= after[key]


@given(houses, moments, st.floats(min_value=0, max_value=2 * DAY_S))
@settings(max_examples=8)
def test_counters_add_up_what_the_power_makes_over_simulated_time(
    house: SimulatedHouse, begin: float, length: float
) -> None:
    steps = 600
    hours = length / DAY_S * 24 / steps
    powers = [
        measured(house, begin + length * (n + 0.5) / steps)["active_power_a"] for n in range(steps)
    ]
    before, after = measured(house, begin), measured(house, begin + length)
    for key, sign in (("energy_import_a", 1), ("energy_export_a", -1)):
        expected = sum(max(power * sign, 0) for power in powers) * hours / 1000
        assert abs(after[key] - before[key] - expected) <= 0.02 + 0.05 * expected


def test_the_same_seed_is_the_same_house_and_another_is_not() -> None:
    assert SimulatedHouse(1).dps(77.7) == HOUSES[1].dps(77.7)
    assert SimulatedHouse(2).dps(77.7) != HOUSES[1].dps(77.7)


def test_within_a_minute_it_buys_boils_a_kettle_and_sells() -> None:
    for house in HOUSES.values():
        totals = during(house, 0, 60, "active_power")
        assert totals[0] > 0
        assert max(totals) > 2000
        assert min(totals) < -1000


def test_at_night_nothing_is_sold_and_no_kettle_boils() -> None:
    # Half past ten at night until half past five, counted from six in the morning.
    begin, end = (16.5 / 24 * DAY_S, 23.5 / 24 * DAY_S)
    for house in HOUSES.values():
        totals = during(house, begin, end, "active_power")
        assert min(totals) > 0
        assert max(totals) < 1000


def test_one_phase_buys_while_another_sells() -> None:
    noon = DAY_S / 4
    for house in HOUSES.values():
        powers = [measured(house, noon)[f"active_power_{phase}"] for phase in PHASES]
        assert min(powers) < -3000
        assert sorted(powers)[1] > 0


def test_a_day_can_be_as_long_as_wanted() -> None:
    slow = SimulatedHouse(1, day_s=86400)
    assert slow.dps(43200)["133"] == HOUSES[1].dps(DAY_S / 2)["133"]
