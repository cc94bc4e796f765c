import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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


@contextmanager
def older_broker() -> Iterator[tuple[int, list[int]]]:
    """Answer MQTT 3.1.1 and hang up on the newer one; yield the port and the levels asked for."""
    levels: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with line:
                        # After the type, the length, and the name of the protocol.
                        levels.append(line.recv(1000)[8])
                        if levels[-1] == 4:
                            line.sendall(b"\x20\x02\x00\x00")
                            line.recv(1000)

        pool.submit(serve)
        yield server.getsockname()[1], levels
        server.shutdown(socket.SHUT_RDWR)


def test_a_broker_that_was_found_to_be_older_is_not_probed_again() -> None:
    def serve(link: Link, _options: Options) -> None:
        link.open()
        while link.up and not link.accepted:
            link.run_once(0.1)
        link.close(done=link.accepted)

    with older_broker() as (port, levels):
        dialler = Dialler(Options("127.0.0.1", port), None, None, lambda: True)
        for asked in ([5, 4, 5, 4], [5, 4]):
            levels.clear()
            assert dialler.dial(lambda options: Link(options, None, lambda _: None), serve).accepted
            assert levels == asked
