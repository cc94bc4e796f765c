"""Backfills into a real Home Assistant after times that it, the broker or the service was down."""

from datetime import UTC, datetime

import pytest
from support.home_assistant import PROGRAMS
from support.mosquitto import Mosquitto
from support.shown import COST, QUARTER, Shown, fill, hours_of, say, undo
from support.staged import BEGINS, ENERGY, POWER, StagedHistory, StagedHouse, hours_ago, power_at
from support.waiting import eventually

from esquirell.domain.long_term import HOUR

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="HOME_ASSISTANT names no program")


def test_home_assistant_was_down_for_four_hours(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(12), 12)
    house.store(history, history.during((0, 12)))
    house.ha_saw(history, history.during((0, 3.5), (7.5, 12)))
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    assert [shown.energy[hour] for hour in (4, 5, 6)] == [0, 0, 0]
    mean, least, most = shown.power[5]
    assert mean == least == most
    said = fill(house)
    assert set(hours_of(said, ENERGY, "filled", history)) == {4, 5, 6}
    assert set(hours_of(said, POWER, "filled", history)) == {4, 5, 6, 7}
    # The hour in which it stopped is no hole; what it missed of it stands in the next.
    assert set(hours_of(said, ENERGY, "left", history)) == {3}
    missed = history.at_end(3) - before[ENERGY][3]["state"]
    assert shown.energy == {hour: history.used(hour) for hour in range(12)} | {
        3: before[ENERGY][3]["change"],
        4: round(history.used(4) + missed, 3),
    }
    assert {hour: shown.power[hour] for hour in (4, 5, 6, 7)} == {
        hour: history.power(hour) for hour in (4, 5, 6, 7)
    }
    assert undo(house, shown, before)["restored"] == 7


def test_a_stop_of_five_hours_as_it_is_lived_through(broker: Mosquitto, house: StagedHouse) -> None:
    """Not staged: it is stopped, its database made older, and it is started again."""
    history = StagedHistory(hours_ago(9), 9)
    house.store(history, history.during((0, 9)))
    now = datetime.now(UTC)
    for ago in (7, 2):
        moment = (now - ago * HOUR).replace(second=0, microsecond=0)
        say(broker.port, {ENERGY: history.energy[moment], POWER: power_at(moment), COST: 1.0})
        house.ha.start()
        eventually(lambda: house.ha.state(house.ha.entities[ENERGY]) == str(history.energy[moment]))  # noqa: B023
        house.ha.stop()
        house.ha.age((5 if ago == 7 else 2) * 3600)
    house.ha.start()
    shown = Shown(house, history).wait()
    first, last = ((now - ago * HOUR - history.start) // HOUR for ago in (7, 2))
    standing = range(first + 1, last)
    assert [shown.energy[hour] for hour in standing] == [0.0] * len(standing)
    said = house.backfill()
    # Those before it knew the meter, and those in which it was stopped.
    filled = {*range(first), *standing}
    assert set(hours_of(said, ENERGY, "filled", history)) == filled
    assert {hour: shown.energy[hour] for hour in standing[1:]} == {
        hour: history.used(hour) for hour in standing[1:]
    }
    assert {hour: shown.power[hour] for hour in standing} == {
        hour: history.power(hour) for hour in standing
    }
    assert sum(shown.energy.values()) == pytest.approx(history.energy[moment] - BEGINS, abs=0.1)


def test_the_broker_was_down_so_that_hours_are_missing(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(12), 12)
    house.store(history, history.during((0, 12)))
    house.ha_saw(history, history.during((0, 4), (8, 12)), unavailable=3.995)
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    assert not {4, 5, 6, 7} & set(before[ENERGY])
    said = fill(house)
    assert said.json["hours"]["main"] == {"written": 4, "left": 0}
    assert shown.energy == {hour: history.used(hour) for hour in range(12)}
    assert {hour: shown.power[hour] for hour in (4, 5, 6, 7)} == {
        hour: history.power(hour) for hour in (4, 5, 6, 7)
    }
    assert undo(house, shown, before)["removed"] == 8


def test_hours_while_the_service_was_down_are_left_alone(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(12), 12)
    house.store(history, history.during((0, 4), (8, 12)))
    house.ha_saw(history, history.during((0, 4), (8, 12)), unavailable=3.995)
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    said = house.backfill()
    assert said.json["hours"]["main"]["written"] == 0
    left = hours_of(said, ENERGY, "left", history)
    assert {left[hour]["reason"] for hour in (4, 5, 6, 7)} == {"estimated"}
    assert shown.all == before
    assert house.undo().json is None


def test_both_were_down_one_after_the_other(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(14), 14)
    house.store(history, history.during((0, 6.01), (8, 14)))
    house.ha_saw(history, history.during((0, 4), (10, 14)))
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    said = fill(house)
    assert set(hours_of(said, ENERGY, "filled", history)) == {4, 5, 8, 9}
    left = hours_of(said, ENERGY, "left", history)
    assert {hour: left[hour]["reason"] for hour in (6, 7)} == dict.fromkeys((6, 7), "estimated")
    gap = history.used(6) + history.used(7)
    assert shown.energy == {hour: history.used(hour) for hour in range(14)} | {
        6: 0.0,
        7: 0.0,
        8: round(history.used(8) + gap, 3),
    }
    undo(house, shown, before)


def test_a_year_from_before_it_knew_the_meter(house: StagedHouse) -> None:
    history = StagedHistory(hours_ago(8760), 8760, QUARTER)
    house.store(history, history.during((0, 8760)))
    known = 8748
    house.ha_saw(history, history.during((known + 0.5, 8760)))
    house.ha.start()
    shown = Shown(house, history).wait()
    before = shown.all
    assert min(before[ENERGY]) == known
    said = fill(house)
    # If less was drawn in the hour after, its maximum is what was drawn before.
    falls = history.power(known)[2] > history.power(known + 1)[2]
    assert said.json["hours"]["main"]["written"] == known + 1 + falls
    energy = shown.energy
    assert {hour: energy[hour] for hour in range(1, 8760)} == {
        hour: history.used(hour) for hour in range(1, 8760)
    }
    # What the sum of the first hour is, Home Assistant shows as its energy.
    assert 0 <= energy[0] <= history.used(1)
    assert shown.power[4000] == history.power(4000)
    assert undo(house, shown, before)["removed"] == 2 * known
