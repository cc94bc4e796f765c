"""Times as settings give them."""

from datetime import timedelta

import pytest

from esquirell.settings.values import check_network, parse_expiry, parse_retention, write_span


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("30m", 1800), ("1h", 3600), ("2d", 172_800)]
)
def test_a_time_is_written_as_it_is_read(text: str, seconds: int) -> None:
    assert parse_expiry(text) == timedelta(seconds=seconds)
    assert write_span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("text", "hours"), [("24h", 24), ("36h", 36), ("1d", 24), ("8w", 1344)])
def test_readings_are_kept_for_hours_days_or_weeks(text: str, hours: int) -> None:
    assert parse_retention(text) == timedelta(hours=hours)


def test_readings_are_kept_for_a_day_at_least() -> None:
    with pytest.raises(ValueError, match='at least "1d"'):
        parse_retention("23h")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.1/0", "128.0.0.0/1", "0.0.0.0"])
def test_not_everybody_is_the_proxy(network: str) -> None:
    with pytest.raises(ValueError, match="must be the proxy's address"):
        check_network(network)


@pytest.mark.parametrize("network", ["", "192.168.1.2", "172.16.0.0/12", "::1"])
def test_a_proxy_is_an_address_or_a_network(network: str) -> None:
    assert check_network(network) == network
