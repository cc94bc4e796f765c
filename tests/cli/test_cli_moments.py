from datetime import UTC, datetime, timedelta

import pytest

from esquirell.cli.moments import local
from esquirell.domain.periods import moment

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("30m", NOW - timedelta(minutes=30)),
        ("90 s", NOW - timedelta(seconds=90)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-22T10:00:00Z", NOW - timedelta(minutes=15)),
        ("2026-11-22T11:00:00+01:00", NOW - timedelta(minutes=15)),
        ("2026-11-22T11:00", NOW - timedelta(minutes=15)),
        ("2026-11-22 11:00:00.5", NOW - timedelta(minutes=14, seconds=59.5)),
        ("2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, expected: datetime) -> None:
    assert moment(text, NOW, "Europe/Warsaw") == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "24", "h", "1.5h", "-1h", "999999w", "2026-13-01", "1899-12-31", "\u0663d"],
)
def test_an_invalid_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write 2026-11-22"):
        moment(text, NOW, "Europe/Warsaw")


def test_people_see_their_own_time() -> None:
    assert local("2026-11-22T10:15:00.123Z", "Europe/Warsaw") == "2026-11-22 11:15:00"
