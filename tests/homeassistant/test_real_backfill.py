"""Backfills into a real Home Assistant, whose past is staged in its recorder's database.

It works its statistics up from there itself, as it does after any time that it was down.
HOME_ASSISTANT names the program that runs it; see support/home_assistant.py.
"""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.cli import esquirell
from support.home_assistant import PROGRAMS, HomeAssistant
from support.shown import (
    COST,
    QUARTER,
    Shown,
    clears_spans,
    cost_as_seen,
    day_in,
    energy_as_seen,
    fill,
    hours_of,
    import_hours,
    undo,
    wait_for_states,
)
from support.staged import BEGINS, ENERGY, PRICE, StagedHistory, StagedHouse, hours_ago, power_at
from support.waiting import eventually

from esquirell.domain.long_term import HOUR
from esquirell.domain.reading import iso

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="HOME_ASSISTANT names no program")


def test_the_same_series_is_the_same_energy(house: StagedHouse) -> None:
    """Home Assistant counts a change in the hour that brings it, we spread it since the last one.

    So an hour may differ by what was used within a minute of its border, and the whole by nothing.
    """
    history = StagedHistory(hours_ago(12), 12)
    house.store(history, history.during((0, 12)))
    house.ha_saw(history, history.during((0, 12)))
    house.ha.start()
    shown = Shown(house, history).wait()
    asked = ("readings", "main", "--resolution", "hour", "--quantity", ENERGY, "--json")
    config = ("--config", str(house.config))
    found = esquirell(*config, *asked, "--since", history.start.isoformat()).json
    ours = [hour[ENERGY] for hour in found if hour["start"] < iso(history.start + 12 * HOUR)]
    whole = history.at_end(11) - BEGINS
    assert sum(ours) == pytest.approx(whole)
    assert sum(shown.energy.values()) == pytest.approx(whole)
    in_a_minute = max(map(power_at, history.energy)) / 1000 / 60
    for hour, kwh in shown.energy.items():
        assert ours[hour] == pytest.approx(kwh, abs=in_a_minute + 0.001)


def test_a_killed_backfill_is_completed_by_the_next(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(4380), 4380, QUARTER)
    house.store(history, history.during((0, 4380)))
    house.ha_saw(history, history.during((4370, 4380)))
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    command = [sys.executable, "-m", "esquirell", "--config", str(house.config), "ha", "backfill"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    eventually(lambda: len(shown.rows(ENERGY)) > 100)
    process.kill()
    process.wait()
    assert len(shown.rows(ENERGY)) < 4380
    # At no time does an hour show what nobody used, as all of it stands in the first one.
    assert min(shown.energy.values()) >= 0
    assert house.backfill().code == 0
    energy = shown.energy
    assert {hour: energy[hour] for hour in range(1, 4380)} == {
        hour: history.used(hour) for hour in range(1, 4380)
    }
    if clears_spans(house.ha):
        house.undo()  # what the second did
    undo(house, shown, before)
    assert house.undo().json is None


def test_a_renamed_entity_is_found(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(8), 8)
    house.store(history, history.during((0, 8)))
    house.ha_saw(history, history.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, history).wait()
    shown.entities[ENERGY] = "sensor.the_cellar"
    house.ha.call(
        "config/entity_registry/update",
        entity_id=house.ha.entities[ENERGY],
        new_entity_id=shown.entities[ENERGY],
    )
    eventually(lambda: 7 in shown.rows(ENERGY))
    fill(house)
    assert shown.energy == {hour: history.used(hour) for hour in range(8)}


def test_a_statistic_that_is_kept_in_megawatt_hours_stays_so(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(8), 8)
    house.store(history, history.during((0, 8)))
    house.ha_saw(history, history.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, history).wait()
    house.ha.call(
        "recorder/change_statistics_unit",
        statistic_id=house.ha.entities[ENERGY],
        old_unit_of_measurement="kWh",
        new_unit_of_measurement="MWh",
    )
    described = eventually(lambda: kept_in(house, "MWh"))
    before = shown.all
    fill(house)
    assert kept_in(house, "MWh") == described
    assert shown.energy == {hour: history.used(hour) for hour in range(8)}
    undo(house, shown, before)


def kept_in(house: StagedHouse, unit: str) -> dict[str, Any] | None:
    found: dict[str, Any]
    (found,) = house.ha.call(
        "recorder/get_statistics_metadata", statistic_ids=[house.ha.entities[ENERGY]]
    )
    return found if found["statistics_unit_of_measurement"] == unit else None


def test_a_corrected_hour_is_left_alone(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(12), 12)
    house.store(history, history.during((0, 12)))
    house.ha_saw(history, history.during((0, 3), (7, 12)))
    house.ha.start()
    shown = Shown(house, history).wait()
    for hour, amount in ((4, 0.123), (9, -0.5)):
        house.ha.call(
            "recorder/adjust_sum_statistics",
            statistic_id=house.ha.entities[ENERGY],
            start_time=(history.start + hour * HOUR).isoformat(),
            adjustment=amount,
            adjustment_unit_of_measurement="kWh",
        )
    corrected = round(history.used(9) - 0.5, 3)
    eventually(lambda: shown.energy[9] == corrected)
    before = shown.all
    said = fill(house)
    left = hours_of(said, ENERGY, "left", history)
    assert (left[4]["reason"], left[9]["reason"]) == ("corrected", "differs")
    energy = shown.energy
    assert (energy[4], energy[9]) == (0.123, corrected)
    assert {hour: energy[hour] for hour in (3, 5, 6)} == {
        hour: history.used(hour) for hour in (3, 5, 6)
    }
    undo(house, shown, before)


def test_costs_over_two_midnights_and_the_end_of_summer_time(
    met: HomeAssistant, tmp_path: Path
) -> None:
    """In Warsaw the 25th of October 2026 has 25 hours; Home Assistant missed its first nine."""
    ha = met.copy_to(tmp_path)
    house = StagedHouse(tmp_path, ha, "Europe/Warsaw")
    history = StagedHistory(datetime(2026, 10, 24, tzinfo=UTC), 72)
    house.store(history, history.during((0, 72)))
    midnights = (-2, 22, 47)
    missed = range(18, 31)
    ha.start()
    try:
        wait_for_states(ha)
        import_hours(ha, ENERGY, energy_as_seen(history, missed))
        import_hours(ha, COST, cost_as_seen(history, missed, midnights))
        shown = Shown(house, history)
        eventually(lambda: 71 in shown.rows(COST))
        before = {key: shown.rows(key) for key in (ENERGY, COST)}
        said = fill(house)
        assert set(hours_of(said, COST, "filled", history)) == set(missed)
        assert {hour: shown.energy[hour] for hour in missed} == {
            hour: history.used(hour) for hour in missed
        }
        spent = {hour: row["change"] for hour, row in shown.rows(COST).items()}
        assert [spent[hour] for hour in missed] == [
            pytest.approx(PRICE * history.used(hour), abs=0.03) for hour in missed
        ]
        # A day of 25 hours in Warsaw, as Home Assistant itself adds it up.
        assert day_in(ha, ha.entities[ENERGY], "2026-10-25") == pytest.approx(
            history.at_end(46) - history.at_end(21), abs=0.001
        )
        assert day_in(ha, ha.entities[COST], "2026-10-25") == pytest.approx(
            PRICE * (history.at_end(46) - history.at_end(21)), abs=0.1
        )
        undo(house, shown, before)
    finally:
        ha.stop()
        house.close()


def test_only_an_administrator_may_write(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(8), 8)
    house.store(history, history.during((0, 8)))
    house.ha_saw(history, history.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    house.token.write_text(house.ha.token_of_a_child())
    said = house.backfill()
    assert said.code == 2
    assert "administrator" in said.sentence
    # Whether the power of the hour of return is off, too, depends on what was drawn then.
    said = house.backfill("--dry-run")
    assert set(hours_of(said, ENERGY, "filled", history)) == {3, 4, 5}
    house.token.write_text("no token")
    assert "refuses this token" in house.backfill().sentence
    assert shown.all == before
