"""What becomes of a poll's answers: readings, failures, warnings, waiting readings."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from support.fakes import Transport, meter, then
from support.poll_bench import Bench

from esquirell import profiles
from esquirell.domain.decoding import Decoded
from esquirell.domain.errors import MeterRejectedError, MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.domain.reading import payload
from esquirell.services.delivery import Delivery
from esquirell.services.poll import Poller

GONE = MeterUnreachableError("unreachable", "main does not answer at 127.0.0.1")
LINE = {"push": "off", "oldest_s": 0}


def test_a_reading_is_stored_and_published_in_its_full_shape() -> None:
    bench = Bench(main={"101": 2360, "103": -140, "137": 14})
    outcome = bench.poller.poll([meter()])["main"]
    assert outcome.payload() == {"status": "ok", "measured_at": "2026-11-22T10:15:00.000Z"}
    (row,) = bench.store.rows.values()
    assert row.values == {"voltage_a": 236.0, "active_power_a": -140.0}
    assert row.diagnostics == {"DeviceStatus": 14} | LINE
    ((published, keys),) = bench.publisher.readings
    assert published == row
    assert keys == profiles.find("owon_pc321").keys
    ((_, status),) = bench.publisher.statuses
    assert (status.state, status.failures, status.last_success) == ("online", 0, bench.clock.now)


@pytest.mark.parametrize(("interval_s", "holds_s"), [(1.0, 60), (60.0, 180), (3600.0, 10_800)])
def test_a_reading_says_for_how_long_it_holds(interval_s: float, holds_s: int) -> None:
    bench = Bench(main={"101": 2360})
    bench.interval_s = interval_s
    bench.poller.poll([meter()])
    bench.clock.advance(3600)
    bench.interval_s = 30.0
    bench.poller.poll([meter()])
    assert [reading.holds_s for reading in bench.store.rows.values()] == [holds_s, 90]


def test_failures_are_counted_and_the_last_success_stays() -> None:
    bench = Bench(main=then({"101": 2360}, GONE, GONE, {"101": 2361}))
    states = []
    for _ in range(4):
        bench.poller.poll([meter()])
        status = bench.publisher.statuses[-1][1]
        states.append((status.state, status.failures, status.reason))
        bench.clock.advance(60)
    assert states == [
        ("online", 0, None),
        ("online", 1, "unreachable"),
        ("offline", 2, "unreachable"),
        ("online", 0, None),
    ]
    assert len(bench.store.rows) == 2
    assert bench.store.kept["main"].last_success == max(at for _, at in bench.store.rows)


def test_keys_seen_once_stay_in_the_shape_over_a_restart() -> None:
    bench = Bench(main={"101": 2360})
    bench.poller.poll([meter()])
    plug = meter(profile="plug")
    again = Poller(
        Transport(main={"20": 2300}),
        profiles.Choices(),
        Delivery(profiles.Choices(), bench.saver, bench.publisher),
        bench.clock,
    )
    again.poll([plug])
    keys = bench.publisher.readings[-1][1]
    assert {"voltage_a", "energy_export", "voltage", "current"} <= set(keys)


def test_readings_wait_while_the_database_is_away() -> None:
    bench = Bench(main=lambda: {"101": 2360})
    bench.store.away = True
    outcome = bench.poller.poll([meter()])["main"]
    assert outcome.payload()["code"] == "unavailable"
    assert bench.poller.waiting == 1
    assert len(bench.publisher.readings) == 1
    bench.store.away = False
    bench.clock.advance(60)
    assert bench.poller.poll([meter()])["main"].ok
    assert len(bench.store.rows) == 2
    assert bench.poller.waiting == 0


def test_waiting_readings_are_stored_at_the_end() -> None:
    bench = Bench(main={"101": 2360})
    bench.store.away = True
    bench.poller.poll([meter()])
    bench.store.away = False
    bench.poller.close()
    assert len(bench.store.rows) == 1


def test_an_unexpected_error_with_one_meter_costs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(bad={"101": object()}, good={"101": 2360})
    choices = bench.profiles.decode

    def decode(meter: Meter, answer: Mapping[str, Any]) -> Decoded:
        if meter.name == "bad":
            raise ZeroDivisionError
        return choices(meter, answer)

    bench.profiles.decode = decode  # type: ignore[method-assign]
    outcomes = bench.poller.poll([meter("bad"), meter("good")])
    assert outcomes["good"].ok
    assert outcomes["bad"].payload()["code"] == "internal"
    assert "unexpected error while decoding an answer" in caplog.text


def test_a_failing_meter_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    error = MeterRejectedError("wrong_key", "main refuses the local key")
    bench = Bench(main=error)
    for _ in range(3):
        bench.poller.poll([meter()])
    assert caplog.text.count("main refuses the local key") == 1


def test_a_profile_is_recognised_by_the_first_answer_and_remembered() -> None:
    bench = Bench(main={"18": 81, "19": 83, "20": 2352})
    plug = meter(profile="auto")
    bench.poller.poll([plug])
    bench.transport.scripts["main"] = {"20": 2360}
    bench.poller.poll([plug])
    assert [asked[1] for asked in bench.transport.asked] == [(), (18, 19, 20)]
    (_, first), (latest, keys) = bench.publisher.readings
    assert latest.values == {"voltage": 236.0}
    assert first == keys == ("current", "active_power", "voltage", "energy_import")


def test_a_warning_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(main=then(*[{"101": 236}] * 8, *[{"101": 2360}] * 8))
    for _ in range(16):
        bench.poller.poll([meter()])
        bench.clock.advance(60)
    assert caplog.text.count("meter main: voltage_a is not between 80 and 300") == 1
    assert caplog.text.count("meter main: the warning has ended: voltage_a is not between") == 1
    published = [reading.values["voltage_a"] for reading, _ in bench.publisher.readings]
    assert published == [23.6] * 8 + [236.0] * 8


def test_a_clamp_put_on_backwards_is_turned_round() -> None:
    answer = {"103": 100, "113": -40, "123": 20, "133": 80, "116": 100, "117": 700}
    bench = Bench(main=answer)
    bench.poller.poll([meter(invert=["b"])])
    (row,) = bench.store.rows.values()
    assert row.values == {
        "active_power_a": 100.0,
        "active_power_b": 40.0,
        "active_power_c": 20.0,
        "active_power": 160.0,
        "energy_import_b": 7.0,
        "energy_export_b": 1.0,
    }


def test_a_suspicious_counter_is_published_as_null() -> None:
    bench = Bench(main=then({"131": 486_908}, {"131": 0}, {"131": 486_909}))
    for _ in range(3):
        bench.poller.poll([meter()])
        bench.clock.advance(60)
    shapes = [payload(reading, keys) for reading, keys in bench.publisher.readings]
    assert [shape["energy_import"] for shape in shapes] == [4869.08, None, 4869.09]
    held = (
        "energy_import fell, or rose by more than can be: it is held back until more readings agree"
    )
    raw = {"energy_import": 0.0}
    assert shapes[1]["diagnostics"] == LINE | {"raw_values": raw, "warnings": [held]}
    assert shapes[2]["diagnostics"] == LINE


def test_an_answer_that_measures_nothing_is_no_reading() -> None:
    bench = Bench(main={"1": True, "9": 0})
    outcome = bench.poller.poll([meter(profile="auto")])["main"].payload()
    assert outcome["code"] == "no_data"
    assert "no known measurement (DPs 1, 9)" in outcome["error"]
    assert bench.store.rows == {}
    assert bench.publisher.readings == []
