import time
from datetime import UTC, datetime

from esquirell.mqtt.dialling import Dialler
from esquirell.mqtt.link import Link
from esquirell.mqtt.options import Options


def test_an_attempt_says_how_long_its_connection_lasted() -> None:
    """Whoever was connected for long is let in at once again; others wait longer and longer."""

    def serve(link: Link, _options: Options) -> None:
        time.sleep(0.1)
        link.close(done=True)

    began = time.monotonic()
    dialler = Dialler(Options(), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert 0.1 <= attempt.lasted_s <= time.monotonic() - began


def test_a_session_is_over_when_its_client_was_away_for_longer() -> None:
    dialler = Dialler(Options(session_expiry=600), None, None, lambda: True)
    assert dialler._is_session_over(None)
    dialler._connected_at = time.monotonic() - 590
    assert not dialler._is_session_over(None)
    dialler._connected_at = time.monotonic() - 610
    assert dialler._is_session_over(None)
    assert dialler._is_session_over(datetime.now(UTC))


def test_a_broker_that_only_speaks_the_older_protocol_is_connected_to() -> None:
    """The attempt that counts is the one that was accepted."""

    def serve(link: Link, options: Options) -> None:
        link.speaks_another_protocol = options.protocol == "5"
        link.accepted = options.protocol == "3.1.1"
        link.failure = "" if link.accepted else "it speaks another protocol"
        link.close(done=True)

    dialler = Dialler(Options(), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert (attempt.accepted, attempt.failure) == (True, "")
