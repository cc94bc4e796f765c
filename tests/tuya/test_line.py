"""The line to a device, by itself: a real socket whose other end says what a test wants."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from support.tuya_devices import DEVICE_ID, KEY
from support.waiting import LIMIT_S, eventually

from esquirell.domain.meter import Meter
from esquirell.tuya.conversation import Conversation
from esquirell.tuya.errors import AttemptError
from esquirell.tuya.line import Line

# A header that promises more than a frame may have, and what is no frame behind it.
TOO_LONG = bytes.fromhex("000055aa 00000001 00000008 ffffffff") + bytes(400)


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket]]:
    """A line, and the device's end of it."""
    line = Line()
    with socket.create_server(("127.0.0.1", 0)) as server:
        line.connect("127.0.0.1", server.getsockname()[1], time.monotonic() + LIMIT_S)
        device, _ = server.accept()
        with device:
            yield line, device
    line.close()


def test_what_came_at_once_is_given_piece_by_piece(ends: tuple[Line, socket.socket]) -> None:
    line, device = ends
    device.sendall(b"onetwo")
    assert line.recv(3) == b"one"
    assert line.pending()
    assert line.recv(100) == b"two"
    assert not line.pending()
    assert line.heard == b"onetwo"


def test_what_was_not_read_is_forgotten_when_it_is_closed(
    ends: tuple[Line, socket.socket],
) -> None:
    line, device = ends
    device.sendall(b"onetwo")
    line.recv(3)
    line.close()
    assert not line.pending()
    assert line.ended


def test_the_end_is_noticed_after_what_came_before_it(ends: tuple[Line, socket.socket]) -> None:
    line, device = ends
    device.sendall(b"one")
    device.close()
    assert (line.recv(10), line.ended) == (b"one", False)
    assert (line.recv(10), line.ended) == (b"", True)


def test_silence_ends_at_the_deadline(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends
    line.allow(time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        line.recv(1)
    assert line.expired
    assert not line.ended


def test_more_than_the_device_takes_ends_at_the_deadline(
    ends: tuple[Line, socket.socket],
) -> None:
    line, _ = ends
    line.allow(time.monotonic() + 0.2)
    with pytest.raises(TimeoutError):
        line.sendall(bytes(50_000_000))
    assert line.expired


def test_all_is_sent_however_slowly_it_is_taken(ends: tuple[Line, socket.socket]) -> None:
    line, device = ends
    sender = threading.Thread(target=line.sendall, args=(bytes(5_000_000),))
    sender.start()
    taken = 0
    while taken < 5_000_000:
        taken += len(device.recv(65_536))
    sender.join(LIMIT_S)
    assert not sender.is_alive()


def test_another_thread_breaks_off_a_wait(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends

    def wait() -> None:
        # Broken off before it waits, or while it does: then the line ends.
        with suppress(ConnectionAbortedError):
            assert line.recv(1) == b""

    waiting = threading.Thread(target=wait)
    waiting.start()
    line.abort()
    waiting.join(LIMIT_S)
    assert not waiting.is_alive()
    with pytest.raises(ConnectionAbortedError):
        line.recv(1)


def test_a_line_that_was_never_connected_has_nothing(ends: tuple[Line, socket.socket]) -> None:
    del ends
    line = Line()
    line.allow(time.monotonic() + LIMIT_S)
    assert not line.pending()
    with pytest.raises(ConnectionError):
        line.recv(1)


def test_what_is_no_frame_ends_a_conversation(ends: tuple[Line, socket.socket]) -> None:
    """It comes unasked, with more behind it; whoever drains the line must not go on for ever."""
    line, device = ends
    meter = Meter(name="main", device_id=DEVICE_ID, local_key=KEY, address="127.0.0.1")
    conversation = Conversation(meter, "3.3", line, ())
    device.sendall(TOO_LONG)
    failures: list[AttemptError] = []

    def drain() -> None:
        try:
            conversation.drain(time.monotonic() + 0.5)
        except AttemptError as error:
            failures.append(error)

    eventually(line.pending)
    draining = threading.Thread(target=drain, daemon=True)
    draining.start()
    draining.join(LIMIT_S)
    assert not draining.is_alive()
    assert failures
