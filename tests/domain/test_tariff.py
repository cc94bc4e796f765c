"""Which price holds when: the borders of windows, days and dates, and who wins."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from esquirell.domain.tariff import Prices, Tariff, Window

# A Friday.
FRIDAY = date(2026, 11, 27)
NIGHT: dict[str, Any] = {"begin": "22:00", "end": "06:00"}
DAY: dict[str, Any] = {"begin": "06:00", "end": "22:00"}


def window(**fields: object) -> Window:
    return Window.model_validate(fields)


def holds(fields: dict[str, Any], day: int, clock: str) -> bool:
    moment = datetime.combine(FRIDAY.replace(day=day), time.fromisoformat(clock))
    return window(**fields).holds(moment)


@pytest.mark.parametrize(
    ("fields", "day", "clock", "expected"),
    [
        ({}, 27, "00:00", True),
        ({}, 27, "23:59:59", True),
        (DAY, 27, "05:59:59", False),
        (DAY, 27, "06:00", True),
        (DAY, 27, "21:59:59", True),
        (DAY, 27, "22:00", False),
        (NIGHT, 27, "21:59:59", False),
        (NIGHT, 27, "22:00", True),
        (NIGHT, 28, "00:00", True),
        (NIGHT, 28, "05:59:59", True),
        (NIGHT, 28, "06:00", False),
        # The weekday is that of the beginning.
        (NIGHT | {"weekdays": ["fri"]}, 27, "05:00", False),
        (NIGHT | {"weekdays": ["fri"]}, 27, "22:00", True),
        (NIGHT | {"weekdays": ["fri"]}, 28, "05:00", True),
        (NIGHT | {"weekdays": ["fri"]}, 28, "22:00", False),
        (DAY | {"weekdays": ["fri"]}, 27, "12:00", True),
        (DAY | {"weekdays": ["fri"]}, 28, "12:00", False),
        ({"weekdays": ["sat", "sun"]}, 27, "23:59", False),
        ({"weekdays": ["sat", "sun"]}, 28, "00:00", True),
        # From the first day on, and not on the last.
        ({"valid_from": "2026-11-27"}, 26, "23:59", False),
        ({"valid_from": "2026-11-27"}, 27, "00:00", True),
        ({"valid_until": "2026-11-27"}, 26, "23:59", True),
        ({"valid_until": "2026-11-27"}, 27, "00:00", False),
    ],
)
def test_a_window_holds_from_its_beginning_until_just_before_its_end(
    fields: dict[str, Any],
    day: int,
    clock: str,
    expected: bool,
) -> None:
    assert holds(fields, day, clock) is expected


@given(
    begin=st.integers(0, 95),
    end=st.integers(0, 95),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - local
)
def test_two_windows_that_follow_each_other_cover_each_moment_once(
    begin: int, end: int, moment: datetime
) -> None:
    first, second = (time(at // 4, at % 4 * 15) for at in (begin, end))
    held = [window(begin=first, end=second), window(begin=second, end=first)]
    assert [one.holds(moment) for one in held].count(True) == (2 if begin == end else 1)


@pytest.mark.parametrize("moment", ["06:01", "06:20", "06:00:01", "06:15:00.5", "06:15+01:00"])
def test_windows_begin_at_a_quarter_in_local_time(moment: str) -> None:
    with pytest.raises(ValidationError):
        window(begin=moment)


@pytest.mark.parametrize("moment", ["00:00", "06:15", "06:30", "06:45", "23:45"])
def test_each_quarter_may_begin_a_window(moment: str) -> None:
    assert window(begin=moment).begin == time.fromisoformat(moment)


@pytest.mark.parametrize(
    ("code", "fits"),
    [("EUR", True), ("EU", False), ("EURO", False), ("eur", False), ("E1R", False), ("ÄÖÜ", False)],
)
def test_a_currency_has_the_letters_of_iso_4217(code: str, fits: bool) -> None:
    fields = {"name": "home", "currency": code}
    if fits:
        assert Tariff.model_validate(fields).currency == code
        return
    with pytest.raises(ValidationError):
        Tariff.model_validate(fields)


def test_the_first_window_that_has_a_price_wins_each_price_for_itself() -> None:
    tariff = Tariff.model_validate(
        {
            "name": "home",
            "currency": "EUR",
            "import_price": "0.30",
            "export_price": "0.08",
            "windows": [
                DAY | {"export_price": "0.05"},
                {"import_price": "0.20"},
                {"import_price": "0.10", "export_price": "0.01"},
            ],
        }
    )
    noon, night = datetime(2026, 11, 27, 12), datetime(2026, 11, 27, 23)  # noqa: DTZ001 - local
    assert tariff.prices(noon) == Prices(Decimal("0.20"), Decimal("0.05"))
    assert tariff.prices(night) == Prices(Decimal("0.20"), Decimal("0.01"))


def test_outside_all_windows_the_prices_of_the_tariff_hold() -> None:
    fields = {"name": "home", "currency": "EUR", "export_price": 0, "windows": [DAY]}
    night = datetime(2026, 11, 27, 23)  # noqa: DTZ001 - local
    assert Tariff.model_validate(fields).prices(night) == Prices(None, Decimal(0))


def test_a_price_of_zero_is_a_price() -> None:
    zero = Prices(Decimal(0), Decimal(0))
    assert zero.over(Prices(Decimal(1), Decimal(1))) == zero


@pytest.mark.parametrize(
    ("meters", "covered"), [(None, True), (["main"], True), (["yard"], False), ([], False)]
)
def test_a_tariff_covers_all_meters_or_those_it_names(
    meters: list[str] | None,
    covered: bool,
) -> None:
    tariff = Tariff.model_validate({"name": "home", "currency": "EUR", "meters": meters})
    assert tariff.covers("main") is covered


def test_the_default_is_one_contract_without_fees() -> None:
    tariff = Tariff.model_validate({"name": "home", "currency": "EUR"})
    assert [tariff.fee_per_day, tariff.fee_per_month] == [Decimal(0), Decimal(0)]
    assert not tariff.fee_for_each_meter
    for field, value in (("fee_per_day", -1), ("import_price", 10**7), ("odd", 1)):
        with pytest.raises(ValidationError):
            Tariff.model_validate({"name": "home", "currency": "EUR", field: value})
