from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError
from support.fakes import KEY, meter

from esquirell.domain.quantity import PHASES, QUANTITIES, is_quantity_key, label_of, split_key
from esquirell.domain.reading import MeterStatus, Reading, iso, payload
from esquirell.domain.schedule import (
    Schedule,
    StoredSchedule,
    long_task_name,
    short_task_name,
)

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_456, UTC)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("suffix", ["", *PHASES, "1", "pv1", "battery", "s1"])
def test_every_key_splits_into_quantity_and_suffix(quantity: str, suffix: str) -> None:
    key = f"{quantity}_{suffix}" if suffix else quantity
    assert split_key(key) == (QUANTITIES[quantity], suffix)


@pytest.mark.parametrize("key", ["", "volt", "voltagea", "energy", "total_power"])
def test_other_keys_are_no_quantity_keys(key: str) -> None:
    assert not is_quantity_key(key)


@pytest.mark.parametrize(
    ("key", "label"),
    [("voltage_a", "Voltage A"), ("active_power", "Power"), ("current_pv1", "Current PV1")],
)
def test_labels_are_for_people(key: str, label: str) -> None:
    assert label_of(key) == label


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(NOON) == "2026-11-22T12:00:00.123Z"
    assert iso(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-11-22T12:00:00.123Z"


def test_the_published_shape_is_full() -> None:
    reading = Reading("main", NOON, {"voltage_a": 236.0}, {"fault": 0})
    assert payload(reading, ("voltage_a", "current_a")) == {
        "measured_at": "2026-11-22T12:00:00.123Z",
        "voltage_a": 236.0,
        "current_a": None,
        "diagnostics": {"fault": 0},
    }


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_local_key_has_sixteen_characters(length: int) -> None:
    secret = ("x$#='(" * 6)[:length]
    with pytest.raises(ValidationError) as caught:
        meter(local_key=secret)
    message = caught.value.errors()[0]["msg"]
    assert "local_key" in message
    assert not length or str(length) in message


def test_a_local_key_is_not_shown() -> None:
    assert KEY not in repr(meter()) + str(meter()) + str(meter().model_dump())


@pytest.mark.parametrize(
    "fields",
    [{}, {"every": 60, "cron": "* * * * *"}, {"every": 0}, {"every": 5, "timezone": "UTC"}],
)
def test_a_schedule_has_one_rule(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate({"name": "x", **fields})


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        (Schedule(name="x", every=1), 10),
        (Schedule(name="x", every=60), 60),
        (Schedule(name="x", every=60, expires=5), 5),
        (Schedule(name="x", cron="0 3 * * *"), 60),
    ],
)
def test_messages_expire(schedule: Schedule, seconds: int) -> None:
    assert schedule.expires_s == seconds


def test_task_names_are_long_or_short() -> None:
    long = "esquirell.tasks.fetch_and_save_energy_data"
    assert long_task_name("fetch_and_save_energy_data") == long
    assert long_task_name("my_house.tasks.heat") == "my_house.tasks.heat"
    assert short_task_name(long) == "fetch_and_save_energy_data"


def test_a_user_s_change_makes_a_schedule_the_user_s() -> None:
    assert StoredSchedule("x", {"every": 60}).origin == "config"
    assert StoredSchedule("x", {"every": 60}, {"every": 5}).origin == "user"
    assert StoredSchedule("x", None, {"every": 5}).origin == "user"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (MeterStatus(), "offline"),
        (MeterStatus(0, None, NOON), "online"),
        (MeterStatus(1, "no_data", NOON), "online"),
        (MeterStatus(2, "no_data", NOON), "offline"),
    ],
)
def test_a_meter_is_offline_after_two_failures(status: MeterStatus, state: str) -> None:
    assert status.payload()["state"] == state
