"""What Now shows: curves, the newest readings, the day so far, the house and its areas."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from esquirell.domain.command import Answer
from esquirell.domain.cost import HourPrice
from esquirell.domain.meter import Meter
from esquirell.domain.quantity import total_of
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.submeters import upstream_of
from esquirell.web.curves import sparkline, total_curve, zero_line
from esquirell.web.formats import NARROW_SPACE, Formats
from esquirell.web.live import Live
from esquirell.web.narrowed import Narrowed, areas_of
from esquirell.web.overview import House, MeterSnapshot, state_of
from esquirell.web.places import note_of, of_house, of_meter, shape_of
from esquirell.web.texts import DEFAULT, texts_of
from esquirell.web.today import Base, Today

TEXTS = texts_of(DEFAULT)
FORMATS = Formats(TEXTS, "Europe/Warsaw")
PRICE = HourPrice(Decimal("0.90"), Decimal("0.30"), Decimal(0), Decimal(0))
MORNING = Base(
    Today(2.0, 1.0, None, 5.0, "PLN"), {"energy_import": 100.0, "energy_export": 40.0}, PRICE
)
POWER = {"active_power": 100.0}


def test_a_curve_bridges_a_slow_schedule_and_leaves_an_outage_open() -> None:
    slow = [100.0, None, None, None, None, 200.0]
    assert sparkline(slow).count("M") == 1
    assert sparkline([1.0, *[None] * 30, 2.0, 3.0]).count("M") == 2
    assert sparkline([None, None]) == ""


def test_a_curve_of_each_ten_minutes_is_a_line_and_a_point_alone_a_dot() -> None:
    every_ten = [100.0 if number % 10 == 0 else None for number in range(61)]
    assert sparkline(every_ten).count("M") == 1
    assert "h0" not in sparkline(every_ten)
    assert sparkline([1.0, *[None] * 30, 2.0, 3.0]).startswith("M0.0 31.3h0M")


def test_the_curve_of_the_house_is_the_sum_of_its_meters_although_they_are_read_now_and_then() -> (
    None
):
    fast, slow = [100.0, 110.0, 120.0, 130.0], [50.0, None, 60.0, None]
    assert total_curve([fast, slow, []]) == [150.0, 165.0, 180.0, 190.0]
    # A meter that was added counts from then on; a gap of one is no fall of the house.
    added = [None, None, 7.0, 7.0]
    assert total_curve([fast, added]) == [100.0, 110.0, 127.0, 137.0]
    cut = [4.0, 4.0, *[None] * 20, 5.0]
    assert total_curve([[1.0] * 23, cut]) == [5.0, 5.0, *[None] * 20, 6.0]
    assert total_curve([[None, None], [None, None]]) == [None, None]
    assert total_curve([]) == []


def test_a_meter_that_does_not_answer_is_in_neither_the_power_nor_the_curve() -> None:
    reading = Reading("main", datetime.now(UTC), {"active_power": 500.0})
    main = replace(snapshot("main", Today()), reading=reading, curve=[400.0, 500.0])
    silent = replace(main, state="offline", curve=[100.0, None])
    house = House((main, silent)).with_curve()
    assert (house.power, house.curve) == (500.0, [400.0, 500.0])


def test_the_zero_line_is_below_import_and_above_export() -> None:
    assert zero_line([100.0, 300.0]) == zero_line([]) == "M0 46.0H240"
    assert zero_line([-100.0, -300.0]) == "M0 2.0H240"
    assert zero_line([-100.0, None, 100.0]) == "M0 24.0H240"
    assert sparkline([-100.0, 0.0, 100.0]) == "M0.0 46.0L120.0 24.0L240.0 2.0"


def test_a_curve_of_the_first_minutes_fills_its_box() -> None:
    assert sparkline([*[None] * 58, 1.0, 2.0]) == "M0.0 24.0L240.0 2.0"
    # One point is a dot, as the ends of the line are round.
    assert sparkline([None, 1.0, None]) == "M0.0 2.0h0"


def test_the_newest_reading_wins_and_makes_the_curve() -> None:
    live, now = Live(), datetime.now(UTC)
    live.take(Reading("main", now, {"active_power_a": 1.0, "active_power_b": 2.0}))
    live.take(Reading("main", now.replace(year=2020), {"active_power": 9.0}))
    assert total_of(live.readings()["main"].values, "active_power") == 3.0
    assert [one for one in live.curve("main") if one is not None] == [3.0]
    assert live.curve("nobody") == []
    assert Answer("ok").payload()["status"] == "ok"


def test_a_reading_with_a_future_time_is_replaced_by_correct_ones() -> None:
    live, now = Live(), datetime.now(UTC)
    tomorrow = Reading("main", now + timedelta(days=1), {"active_power": 1.0})
    live.take_stored(tomorrow)
    for second in range(2):
        live.take(Reading("main", now + timedelta(seconds=second), {"active_power": 2.0 + second}))
        # It is still the newest of those that are stored.
        live.take_stored(tomorrow)
        assert live.readings()["main"].values == {"active_power": 2.0 + second}


def test_a_stored_reading_with_a_future_time_is_replaced_once_deleted() -> None:
    live, now = Live(), datetime.now(UTC)
    live.take_stored(Reading("main", now + timedelta(days=1), {"active_power": 1.0}))
    live.take_stored(Reading("main", now, {"active_power": 2.0}))
    assert live.readings()["main"].values == {"active_power": 2.0}


@pytest.mark.parametrize("take", [Live.take, Live.take_stored], ids=["broker", "database"])
def test_a_page_with_a_slow_clock_shows_new_readings(
    take: Callable[[Live, Reading], None],
) -> None:
    live, now = Live(), datetime.now(UTC)
    for second in (59, 70, 80):
        reading = Reading("main", now + timedelta(seconds=second), {"active_power": float(second)})
        take(live, reading)
        assert live.readings()["main"] == reading


def test_a_page_with_a_slow_clock_keeps_the_newest_readings() -> None:
    live, now = Live(), datetime.now(UTC)
    newest = Reading("main", now + timedelta(seconds=90), {"active_power": 2.0})
    live.take(newest)
    for second in (30, 80):
        live.take_stored(Reading("main", now + timedelta(seconds=second), {"active_power": 1.0}))
        assert live.readings()["main"] == newest


def read(**values: float) -> Reading:
    return Reading("main", datetime.now(UTC), values)


def test_the_day_follows_the_counters() -> None:
    assert MORNING.at(None) == MORNING.today
    now = MORNING.at(read(energy_import=100.5, energy_export=40.1))
    assert now.imported == pytest.approx(2.5)
    assert now.exported == pytest.approx(1.1)
    assert now.cost == pytest.approx(5.0 + 0.5 * 0.9 - 0.1 * 0.3)
    assert (now.generated, now.currency) == (None, "PLN")


def test_the_day_of_a_meter_of_phases_is_that_of_all() -> None:
    phases = {f"energy_import_{phase}": 10.0 for phase in "abc"}
    now = Base(Today(1.0), phases).at(read(**phases | {"energy_import_a": 10.5}))
    assert now == Today(1.5)


def test_a_counter_that_is_withheld_for_a_while_adds_only_what_it_counted() -> None:
    whole = {"energy_import": 9000.0, "energy_import_a": 8000.0, "energy_import_b": 1000.0}
    partly = {"energy_import_b": 1000.0}
    assert Base(Today(1.0), partly).at(read(**whole)) == Today(1.0)
    assert Base(Today(1.0), whole).at(read(energy_import_b=1000.5)) == Today(1.5)
    assert Base(Today(1.0), whole).at(read(**whole | {"energy_import": 9001.0})) == Today(2.0)


def test_a_counter_that_is_unknown_or_began_again_adds_nothing_to_the_day() -> None:
    assert MORNING.at(read(active_power=1.0)) == MORNING.today
    assert MORNING.at(read(energy_import=3.0, energy_export=0.0)) == MORNING.today


def test_a_day_without_a_price_has_no_cost() -> None:
    assert Base(Today(1.0), {"energy_import": 1.0}).at(read(energy_import=2.0)) == Today(2.0)


def house_of(*snapshots: MeterSnapshot) -> House:
    return House(snapshots, upstream=upstream_of(one.meter for one in snapshots))


def snapshot(name: str, today: Today, **fields: Any) -> MeterSnapshot:  # noqa: ANN401 - of a meter
    meter = Meter(name=name, device_id=name, local_key="0" * 16, **fields)
    return MeterSnapshot(
        meter, MeterStatus(), "online", Reading(name, datetime.now(UTC), POWER), today
    )


def test_the_page_says_how_many_meters_the_sum_has() -> None:
    two = house_of(snapshot("main", Today(1.0)), snapshot("barn", Today(1.0)))
    assert note_of(two, TEXTS) == "importing from the grid · sum of 2 meters"
    below = house_of(snapshot("main", Today(1.0)), snapshot("barn", Today(1.0), upstream="main"))
    assert note_of(below, TEXTS) == "importing from the grid"
    gone = house_of(replace(two.meters[0], state="offline"), two.meters[1])
    assert note_of(gone, TEXTS).endswith("sum of 2 meters · without 1 meter that is offline")
    off = snapshot("off", Today(), enabled=False)
    assert house_of(replace(off, state="offline"), two.meters[1]).missing == 0


def test_now_is_loaded_again_when_other_figures_make_it_up() -> None:
    cold = house_of(snapshot("main", Today()))
    known = house_of(snapshot("main", Today(1.0, 2.0, None, 3.0, "EUR")))
    used = house_of(snapshot("main", Today(1.5, 2.5, None, 3.5, "EUR")))
    two = house_of(*known.meters, snapshot("barn", Today()))
    assert shape_of(known) == shape_of(used)
    assert len({shape_of(cold), shape_of(known), shape_of(two)}) == 3


def test_a_list_of_meters_is_narrowed_and_sorted() -> None:
    flats = [
        snapshot("flat-1", Today(1.0), label="Kowalski", area="House A"),
        replace(snapshot("flat-2", Today(3.0), label="Nowak", area="House B"), state="offline"),
        snapshot("flat-3", Today(2.0), label="Zieliński", area="House B"),
    ]

    def names(**query: str) -> list[str]:
        narrowed = Narrowed.by(query.get)
        return [one.meter.name for one in narrowed.of(flats)]

    assert names() == ["flat-1", "flat-2", "flat-3"]
    assert names(area="House B") == ["flat-2", "flat-3"]
    assert names(q="ZIELIŃ") == names(q=" flat-3 ") == ["flat-3"]
    assert names(q="house a", area="House B") == []
    # A device's id is what a label on it says.
    assert names(q="FLAT-2") == ["flat-2"]
    assert names(sort="today") == ["flat-2", "flat-3", "flat-1"]
    assert names(sort="state")[0] == "flat-2"
    # Without a power that is true it is the last one.
    assert names(sort="power")[-1] == "flat-2"
    assert names(sort="nonsense") == names()
    assert areas_of(flats) == ["House A", "House B"]


def test_numbers_in_names_sort_as_numbers() -> None:
    titles = ["Flat-10", "flat-2", "2nd", "Attic", "flat", "10th"]
    meters = [
        snapshot(f"m{number}", Today(1.0), label=title) for number, title in enumerate(titles)
    ]
    found = Narrowed.by({"sort": "name"}.get).of(meters)
    assert [one.meter.title for one in found] == [
        *("2nd", "10th", "Attic", "flat", "flat-2", "Flat-10")
    ]


def test_the_sum_of_an_area_includes_meters_behind_one_of_another_area() -> None:
    main = snapshot("main", Today(9.0), area="Cellar")
    flats = [snapshot(f"flat-{n}", Today(float(n)), upstream="main", area="House") for n in (1, 2)]
    plug = snapshot("plug", Today(0.5), upstream="flat-1", area="House")
    house = house_of(main, *flats, plug)
    shown = of_house(house, TEXTS, FORMATS)
    assert shown["area:House"] == f"200{NARROW_SPACE}W · 3.00{NARROW_SPACE}kWh today"
    assert house.today.imported == 9.0


def test_a_meter_behind_two_others_counts_once_wherever_it_is_shown() -> None:
    main = snapshot("main", Today(9.0), area="Cellar")
    board = snapshot("board", Today(3.0), upstream="main", area="Hall")
    plug = snapshot("plug", Today(0.5), upstream="board", area="Cellar")
    house = house_of(main, board, plug)
    shown = of_house(house, TEXTS, FORMATS)
    assert shown["area:Cellar"] == f"100{NARROW_SPACE}W · 9.00{NARROW_SPACE}kWh today"
    assert house.today.imported == 9.0
    assert [one.meter.name for one in house.counted] == ["main"]


def test_the_cost_of_the_house_has_the_fees_of_all_meters_and_their_energy_once() -> None:
    main = snapshot("main", Today(9.0, cost=10.0, currency="EUR", fee=1.0))
    plug = snapshot("plug", Today(0.5, cost=0.75, currency="EUR", fee=0.25), upstream="main")
    free = snapshot("free", Today(5.0))
    assert house_of(main, plug, free).today.cost == 10.25
    # A meter without a tariff bears no cost of those behind it.
    behind = replace(plug, meter=plug.meter.model_copy(update={"upstream": "free"}))
    assert house_of(main, behind, free).today.cost == 10.75


def test_what_an_inverter_behind_the_main_meter_generates_is_shown() -> None:
    keys = MeterStatus(keys=("energy_generated",))
    roof = replace(snapshot("roof", Today(generated=4.0), upstream="main"), status=keys)
    assert house_of(snapshot("main", Today(9.0)), roof).today.generated == 4.0


def test_an_area_without_an_online_meter_shows_only_energy() -> None:
    offline = replace(snapshot("one", Today(1.0), area="Roof"), state="offline")
    shown = of_house(house_of(offline), TEXTS, FORMATS)
    assert shown["area:Roof"] == f"1.00{NARROW_SPACE}kWh today"


def test_a_meter_that_is_switched_off_is_neither_offline_nor_waiting() -> None:
    off = Meter(name="off", device_id="off", local_key="0" * 16, enabled=False)
    assert state_of(off, MeterStatus(), None, 60) == "off"
    assert state_of(off, MeterStatus(failures=3, reason="unreachable"), None, 60) == "off"
    on = off.model_copy(update={"enabled": True})
    assert state_of(on, MeterStatus(), None, 60) == "waiting"


def test_the_page_of_a_meter_is_loaded_again_when_it_says_something_else() -> None:
    one = snapshot("main", Today(1.0))
    more = replace(one, today=Today(2.0), reading=read(active_power=5.0))
    keys = ["active_power"]
    first, second = (of_meter(each, keys, FORMATS) for each in (one, more))
    assert first["main:active_power"] == "100"
    assert second["main:active_power"] == "5"
    assert first["page:shape"] == second["page:shape"]
    doubted = of_meter(replace(one, warnings=("a doubt",)), keys, FORMATS)
    assert doubted["page:shape"] != first["page:shape"]


def test_a_meter_that_is_read_is_online_while_its_readings_wait_for_the_database() -> None:
    meter = Meter(name="main", device_id="main", local_key="0" * 16)
    now = datetime.now(UTC)
    long_ago, before = now - timedelta(minutes=10), now - timedelta(seconds=70)

    def state(status: MeterStatus, read_at: datetime) -> str:
        return state_of(meter, status, Reading("main", read_at, POWER), 60)

    stored = MeterStatus(0, None, long_ago)
    assert state(stored, now) == "online"
    assert state(stored, long_ago) == "offline"
    assert state(stored, now + timedelta(days=1)) == "offline"
    assert state(MeterStatus(2, "no_data", before), before) == "offline"
