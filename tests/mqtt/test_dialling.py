import time
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from esquirell.mqtt.dialling import Dialler, Session
from esquirell.mqtt.link import NO_FAILURE, Failure, Link
from esquirell.mqtt.options import Options


def test_an_attempt_says_how_long_its_connection_lasted() -> None:
    """After a long connection the next attempt comes at once; after short ones later and later."""

    def serve(link: Link, _options: Options) -> None:
        time.sleep(0.1)
        link.close(done=True)

    began = time.monotonic()
    dialler = Dialler(Options(), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert 0.1 <= attempt.lasted_s <= time.monotonic() - began


@pytest.mark.parametrize(
    ("away_s", "seen_s_ago", "is_over"),
    [
        (None, None, True),
        (None, 600, False),
        (None, 601, True),
        (None, -600, False),
        (None, -601, True),
        (0, None, False),
        (600, None, False),
        (601, None, True),
        (601, 0, True),
        (10, 601, True),
        (10, 600, False),
    ],
)
def test_a_session_is_over_when_its_client_was_away_for_longer(
    away_s: float | None,
    seen_s_ago: float | None,
    is_over: bool,
) -> None:
    """A clock that was set may show a time in the future: it says as little as one long past."""
    uptime_s, now = [1000.0], datetime(2026, 11, 30, 12, tzinfo=UTC)
    session = Session(600, lambda: uptime_s[0], lambda: now)
    if away_s is not None:
        session.connected()
        uptime_s[0] += away_s
    seen = None if seen_s_ago is None else now - timedelta(seconds=seen_s_ago)
    assert session.is_over(seen) is is_over


def test_a_broker_that_only_speaks_the_older_protocol_is_connected_to() -> None:
    """The attempt that counts is the one that was accepted."""

    def serve(link: Link, options: Options) -> None:
        link.accepted = options.protocol == "3.1.1"
        if not link.accepted:
            link.failure = Failure("it speaks another protocol", speaks_another_protocol=True)
        link.close(done=True)

    dialler = Dialler(Options(), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert (attempt.accepted, attempt.failure) == (True, Failure())


@pytest.mark.parametrize(
    ("protocol", "accepted", "failure"),
    [
        ("5", True, NO_FAILURE),
        ("5", False, Failure("it refuses the password", refuses_credentials=True)),
        ("3.1.1", False, Failure("it speaks another protocol", speaks_another_protocol=True)),
    ],
)
def test_where_the_older_protocol_does_not_help_it_is_not_tried(
    protocol: Literal["5", "3.1.1"], accepted: bool, failure: Failure
) -> None:
    tried: list[str] = []

    def serve(link: Link, options: Options) -> None:
        tried.append(options.protocol)
        link.accepted, link.failure = accepted, failure
        link.close(done=True)

    dialler = Dialler(Options(protocol=protocol), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert tried == [protocol]
    assert (attempt.accepted, attempt.failure) == (accepted, failure)
