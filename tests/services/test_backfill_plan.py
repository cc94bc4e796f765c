"""What is planned for Home Assistant's long-term statistics, by what it has and what we know."""

from collections.abc import Mapping
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from support.long_term import Recorder, at, energy, steps_of

from esquirell.domain.long_term import Row
from esquirell.services.backfill_plan import (
    Average,
    Counted,
    Filled,
    OurCounter,
    Plan,
    plan_averages,
)
from esquirell.services.counter_plan import plan_counter

ALWAYS = (at(-10_000), at(10_000))
USED = {0: 1.0, 1: 1.0, 2: 0.5, 3: 2.0, 4: 0.25, 5: 1.0, 6: 1.0}


def recorded(
    missed: tuple[int, ...], used: Mapping[int, float] = USED, begins: float = 1000.0
) -> Recorder:
    recorder = Recorder()
    recorder.record(used, missed, begins)
    return recorder


def reasons(plan: Plan) -> dict[datetime, str]:
    return {hour: left.reason for hour, left in plan.left.items()}


def test_what_home_assistant_missed_gets_its_own_energy() -> None:
    recorder = recorded(missed=(2, 3, 4))
    assert recorder.changes()[5] == 4.75 - 1.0
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert plan.filled == {
        at(2): Filled(0.0, 0.5),
        at(3): Filled(0.0, 2.0),
        at(4): Filled(0.0, 0.25),
    }
    assert not plan.left
    assert not plan.shifts
    recorder.apply(plan)
    assert recorder.changes() == USED


def test_hours_without_rows_are_holes_too() -> None:
    recorder = recorded(missed=(2, 3, 4))
    recorder.remove(2, 3, 4)
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert plan.filled[at(3)] == Filled(None, 2.0)
    recorder.apply(plan)
    assert recorder.changes() == USED


def test_an_hour_in_which_nothing_was_used_is_no_hole() -> None:
    used = USED | {2: 0.0, 3: 0.0}
    recorder = recorded(missed=(), used=used)
    plan = plan_counter(recorder.sorted, energy(used), ALWAYS)
    assert not plan.writes
    assert not plan.left


def test_within_an_outage_an_hour_without_energy_stays_without() -> None:
    used = USED | {3: 0.0}
    recorder = recorded(missed=(2, 3, 4), used=used)
    plan = plan_counter(recorder.sorted, energy(used), ALWAYS)
    assert set(plan.filled) == {at(2), at(4)}
    recorder.apply(plan)
    assert recorder.changes() == used


def test_estimated_hours_keep_what_they_show_and_are_listed() -> None:
    recorder = recorded(missed=(1, 2, 3, 4))
    plan = plan_counter(recorder.sorted, energy(USED, estimated={2, 3}), ALWAYS)
    assert reasons(plan) == {at(2): "estimated", at(3): "estimated"}
    recorder.apply(plan)
    changes = recorder.changes()
    assert (changes[2], changes[3]) == (0.0, 0.0)
    # The next hour that was measured has the energy of the three, as after a gap.
    assert changes[4] == 0.5 + 2.0 + 0.25
    assert (changes[1], changes[5]) == (1.0, 1.0)


def test_hours_before_our_first_reading_are_left() -> None:
    recorder = recorded(missed=(2, 3))
    recorder.remove(2, 3)
    ours = energy({hour: kwh for hour, kwh in USED.items() if hour >= 4}, begins=1004.5)
    plan = plan_counter(recorder.sorted, ours, ALWAYS)
    assert not plan.writes
    assert reasons(plan) == {at(2): "unknown", at(3): "unknown"}


def test_a_corrected_hour_is_left_alone_and_listed() -> None:
    recorder = recorded(missed=())
    recorder.adjust(3, -1.5)
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert not plan.writes
    assert plan.left[at(3)].reason == "differs"
    assert round(plan.left[at(3)].theirs or 0, 3) == 0.5
    assert plan.left[at(3)].ours == 2.0
    for span, listed in (((at(3), at(4)), True), ((at(2), at(3)), False), ((at(4), at(9)), False)):
        plan = plan_counter(recorder.sorted, energy(USED), span)
        assert (at(3) in plan.left) == listed, span


def test_a_corrected_hour_within_an_outage_keeps_its_energy() -> None:
    recorder = recorded(missed=(2, 3, 4))
    recorder.adjust(3, 1.9)
    recorder.adjust(5, -1.9)
    total = recorder.sorted[-1].sum
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    recorder.apply(plan)
    # The hour of the return was corrected as well: all stays as somebody wanted it.
    assert not plan.writes
    assert reasons(plan)[at(2)] == "corrected"
    assert recorder.sorted[-1].sum == total
    assert recorder.changes()[3] == 1.9


def test_an_hour_added_by_hand_stays_while_the_others_are_filled() -> None:
    recorder = recorded(missed=(2, 3, 4))
    recorder.adjust(3, 1.9)
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    recorder.apply(plan)
    changes = recorder.changes()
    assert (changes[2], changes[3], changes[4]) == (0.5, 1.9, 0.25)
    assert reasons(plan) == {at(3): "corrected"}
    assert sum(changes.values()) == sum(USED.values()) + 1.9


def test_a_removed_spike_is_not_filled_in_again() -> None:
    recorder = recorded(missed=(2, 3, 4))
    recorder.adjust(5, -2.75)
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert not plan.writes
    assert set(reasons(plan)) >= {at(2), at(3), at(4)}


def test_an_outage_whose_end_is_not_recorded_yet_waits() -> None:
    recorder = recorded(missed=(4, 5, 6))
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert not plan.writes
    assert reasons(plan) == dict.fromkeys((at(4), at(5), at(6)), "waiting")


def test_the_time_before_home_assistant_knew_the_meter() -> None:
    recorder = recorded(missed=())
    recorder.remove(0, 1, 2)
    first = recorder.sorted[0]
    # It began to count in the middle of its first hour.
    for row in recorder.sorted:
        recorder.rows[row.start] = Row(row.start, state=row.state, sum=row.state - 1004.0)  # type: ignore[operator]
    assert recorder.changes()[3] == 0.5
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    assert [shift.start for shift in plan.shifts] == [first.start]
    recorder.apply(plan)
    # The first hour of all counts as energy what its sum is: it must not be below zero.
    assert recorder.changes() == USED


def test_the_time_before_and_an_outage_together() -> None:
    recorder = recorded(missed=(4,))
    recorder.remove(0, 1)
    plan = plan_counter(recorder.sorted, energy(USED), ALWAYS)
    recorder.apply(plan)
    assert recorder.changes() == USED
    assert not plan_counter(recorder.sorted, energy(USED), ALWAYS).writes


def test_counters_that_do_not_fit_are_left() -> None:
    recorder = recorded(missed=(), begins=3.0)
    recorder.remove(0, 1)
    plan = plan_counter(recorder.sorted, energy(USED, begins=1000.0), ALWAYS)
    assert not plan.writes
    assert set(reasons(plan).values()) == {"differs"}


def test_a_span_takes_the_outages_that_begin_in_it() -> None:
    recorder = recorded(missed=(1, 4))
    plan = plan_counter(recorder.sorted, energy(USED), (at(3), at(5)))
    assert set(plan.filled) == {at(4)}
    assert not plan_counter(recorder.sorted, energy(USED), (at(2), at(3))).writes


hours = st.lists(st.sampled_from([0.0, 0.25, 1.0, 2.5]), min_size=3, max_size=12)


@given(hours, st.sets(st.integers(1, 10)), st.sets(st.integers(1, 10)), st.integers(0, 12))
def test_nothing_is_lost_and_each_measured_hour_gets_its_own(
    kwh: list[float], missed: set[int], gone: set[int], stop: int
) -> None:
    used = dict(enumerate([*kwh, 1.0]))
    last = len(used) - 1
    missed = {hour for hour in missed if hour < last}
    recorder = recorded(tuple(missed), used)
    recorder.remove(*(missed & gone))
    ours = energy(used)
    plan = plan_counter(recorder.sorted, ours, ALWAYS)
    recorder.apply(plan, stop=stop)
    assert all(change >= 0 for change in recorder.changes().values())
    assert round(sum(recorder.changes().values()), 6) == round(sum(used.values()), 6)
    # Interrupted after any number of steps, it is completed by planning again.
    recorder.apply(plan_counter(recorder.sorted, ours, ALWAYS))
    assert recorder.changes() == used
    assert steps_of(plan_counter(recorder.sorted, ours, ALWAYS)) == 0


@given(hours, st.integers(1, 6), st.integers(0, 12))
def test_a_past_is_put_before_in_any_number_of_steps(
    kwh: list[float], known: int, stop: int
) -> None:
    used = dict(enumerate([*kwh, 1.0]))
    recorder = recorded((), used)
    recorder.remove(*range(min(known, len(used) - 1)))
    ours = energy(used)
    begun = recorder.sorted[0]
    recorder.rows = {
        row.start: Row(row.start, row.state, (row.sum or 0) - (begun.sum or 0))
        for row in recorder.sorted
    }
    plan = plan_counter(recorder.sorted, ours, ALWAYS)
    recorder.apply(plan, stop=stop)
    assert all(change >= 0 for change in recorder.changes().values())
    recorder.apply(plan_counter(recorder.sorted, ours, ALWAYS))
    assert recorder.changes() == used


DAY = 24


def cost_booked(earlier: Row, later: Row) -> float:
    assert earlier.state is not None
    assert later.state is not None
    return later.state - (earlier.state if earlier.last_reset == later.last_reset else 0.0)


def cost(used: Mapping[int, float]) -> OurCounter:
    """Build our hours of a cost that starts again at each midnight."""
    position, day = 0.0, dict[int, float]()
    counted: dict[datetime, Counted] = {}
    for hour in sorted(used):
        day.setdefault(hour // DAY, position)
        position += used[hour]
        begin = hour // DAY
        counted[at(hour)] = Counted(position, position - day[begin], at(begin * DAY))

    def place(row: Row) -> float:
        assert row.last_reset is not None
        return day[round((row.last_reset - at(0)).total_seconds() / 86_400)] + (row.state or 0.0)

    return OurCounter(
        {at(hour): amount for hour, amount in used.items()},
        (),
        lambda since, until: {one: it for one, it in counted.items() if since <= one < until},
        place,
        cost_booked,
        signed=True,
    )


def test_a_cost_that_began_again_during_an_outage_is_made_whole() -> None:
    used = {hour: 0.5 if hour != 23 else -0.75 for hour in range(20, 28)}
    ours = cost(used)
    shown = ours.positions(at(20), at(28))
    recorder = Recorder()
    total, seen = 0.0, None
    for hour in range(20, 28):
        if hour not in (22, 23, 24, 25):
            one = shown[at(hour)]
            now = Row(at(hour), one.state, 0.0, one.last_reset)
            total += cost_booked(seen, now) if seen else 0.0
            seen = now
        assert seen
        recorder.rows[at(hour)] = Row(at(hour), seen.state, total, seen.last_reset)
    # Home Assistant never saw what was spent from 22 o'clock until midnight.
    assert round(sum(recorder.changes().values()), 6) == 0.5 + 0.5 * 4
    plan = plan_counter(recorder.sorted, ours, ALWAYS)
    assert round(plan.shifts[0].amount, 6) == 0.5 - 0.75
    recorder.apply(plan)
    changes = recorder.changes()
    assert {hour: changes[hour] for hour in range(21, 28)} == {
        hour: used[hour] for hour in range(21, 28)
    }
    assert recorder.rows[at(24)].last_reset == at(24)
    assert recorder.rows[at(24)].state == 0.5
    assert steps_of(plan_counter(recorder.sorted, ours, ALWAYS)) == 0


def flat(hour: int, watts: float) -> Row:
    return Row(at(hour), mean=watts, min=watts, max=watts)


POWER = {at(hour): Average(200.0 + hour, 100.0, 900.0) for hour in range(7)}


def test_hours_of_a_power_that_never_changed_are_holes_and_so_is_the_first_after() -> None:
    rows = [
        Row(at(0), mean=200.0, min=100.0, max=900.0),
        flat(1, 500.0),
        flat(2, 500.0),
        Row(at(3), mean=480.0, min=120.0, max=500.0),
        Row(at(4), mean=204.0, min=100.0, max=900.0),
        Row(at(5), mean=1000.0, min=100.0, max=5000.0),
    ]
    plan = plan_averages(rows, POWER, (), ALWAYS)
    assert set(plan.filled) == {at(1), at(2), at(3)}
    assert plan.writes[2].after == Row(at(3), mean=203.0, min=100.0, max=900.0)
    assert reasons(plan) == {at(5): "differs"}


def test_hours_of_a_power_that_are_missing_are_holes() -> None:
    rows = [Row(at(2), mean=202.0, min=100.0, max=900.0), flat(5, 205.0)]
    known = {hour: one for hour, one in POWER.items() if hour != at(4)}
    plan = plan_averages(rows, known, (), ALWAYS)
    assert set(plan.filled) == {at(0), at(1), at(3), at(5)} | {at(2)} - {at(2)}
    assert reasons(plan) == {at(4): "unknown"}


def test_a_power_that_did_not_change_for_us_either_is_no_hole() -> None:
    rows = [flat(0, 5.0), flat(1, 5.0)]
    ours = {at(0): Average(5.0, 5.0, 5.0), at(1): Average(5.1, 5.1, 5.1)}
    assert not plan_averages(rows, ours, (), ALWAYS).writes


def test_estimated_hours_of_a_power_are_left() -> None:
    rows = [flat(0, 5.0), flat(1, 5.0), flat(3, 5.0)]
    plan = plan_averages(rows, POWER, {at(0), at(1), at(2), at(3)}, ALWAYS)
    assert not plan.writes
    assert reasons(plan) == {at(2): "estimated"}


def test_without_any_row_nothing_is_planned() -> None:
    assert plan_counter([], energy(USED), ALWAYS) == Plan(recorded=False)
    assert plan_averages([], POWER, (), ALWAYS) == Plan(recorded=False)
