"""The thread of the devices: calls, timers and lines to real sockets."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from support.waiting import LIMIT_S, eventually

from esquirell.tuya.lan.loop import FOREVER, RECEIVE_BYTES, Line, Loop, Timer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(clock: Clock) -> Iterator[Loop]:
    loop = Loop(clock)
    yield loop
    loop.close()


def run(loop: Loop, function: Callable[[], None] = lambda: None) -> None:
    """Run a function in the loop, and wait until it and the timers that are due have ended."""
    for each in (function, lambda: None):
        done = threading.Event()
        loop.call(each)
        loop.call(done.set)
        assert done.wait(LIMIT_S)


def threads() -> set[threading.Thread]:
    """Return the threads of loops; those of other tests may still be ending."""
    return {thread for thread in threading.enumerate() if thread.name == "meters"}


def test_timers_end_in_the_order_of_their_moments_and_once(loop: Loop, clock: Clock) -> None:
    ended: list[str] = []
    timers = {name: Timer(loop, partial(ended.append, name)) for name in "abc"}

    def begin() -> None:
        timers["a"].set(110)
        timers["b"].set(105)
        timers["c"].set(FOREVER)

    run(loop, begin)
    clock.now = 104.9
    run(loop)
    assert ended == []
    clock.now = 105
    run(loop)
    assert ended == ["b"]
    assert timers["b"].due == FOREVER
    clock.now = 120
    run(loop)
    run(loop)
    assert ended == ["b", "a"]


@pytest.mark.parametrize(
    ("moments", "ended_at"),
    [((110, 105), 105), ((105, 110), 110), ((105, FOREVER), None), ((105, 110, 105), 105)],
)
def test_a_timer_that_is_set_again_ends_at_its_last_moment(
    loop: Loop, clock: Clock, moments: tuple[float, ...], ended_at: float | None
) -> None:
    ended: list[float] = []
    timer = Timer(loop, lambda: ended.append(clock.now))

    def begin() -> None:
        for moment in moments:
            timer.set(moment)

    run(loop, begin)
    for clock.now in (104, 105, 109, 110, 130):
        run(loop)
    assert ended == ([] if ended_at is None else [ended_at])


def test_the_loop_wakes_by_itself_for_the_next_timer() -> None:
    loop = Loop()
    ended = threading.Event()
    timers = [Timer(loop, ended.set), Timer(loop, lambda: None)]

    def begin() -> None:
        timers[1].set(loop.now() + 1000)
        timers[1].set(loop.now() + 2000)
        timers[0].set(loop.now() + 0.05)

    loop.call(begin)
    assert ended.wait(LIMIT_S)
    loop.close()


def test_a_timer_can_set_itself_again(loop: Loop, clock: Clock) -> None:
    ended: list[float] = []

    def again() -> None:
        ended.append(clock.now)
        timer.set(clock.now + 10)

    timer = Timer(loop, again)
    run(loop, lambda: timer.set(105))
    for clock.now in (105, 106, 115, 125):
        run(loop)
    assert ended == [105, 115, 125]


def test_a_fault_of_one_costs_no_other(
    loop: Loop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    def fail() -> None:
        raise ValueError("of one device")

    def begin() -> None:
        Timer(loop, fail).set(105)
        Timer(loop, lambda: ended.append("timer")).set(105)

    run(loop, begin)
    loop.call(fail)
    clock.now = 106
    run(loop)
    assert ended == ["timer"]
    assert [record.getMessage() for record in caplog.records] == [
        "unexpected error with a device"
    ] * 2


def test_calls_before_the_end_are_done_and_none_after_it(loop: Loop) -> None:
    before, done = threads(), list[int]()
    for number in range(100):
        loop.call(partial(done.append, number))
    loop.close()
    assert done == list(range(100))
    assert threads() <= before
    loop.call(lambda: done.append(-1))
    loop.close()
    assert done == list(range(100))


def test_a_loop_that_was_closed_before_it_began_never_begins() -> None:
    before, loop = threads(), Loop()
    loop.close()
    done = threading.Event()
    loop.call(done.set)
    assert threads() <= before
    assert not done.is_set()


def test_a_call_from_within_the_loop_is_done_without_waiting_for_anything(loop: Loop) -> None:
    done = threading.Event()
    loop.call(lambda: loop.call(done.set))
    assert done.wait(LIMIT_S)


class Talk:
    """A line and what came of it."""

    def __init__(self, loop: Loop) -> None:
        self.got = b""
        self.changes: list[tuple[bool, bool, OSError | None]] = []
        self.line = Line(loop, self._received, self._changed)

    def _received(self, data: bytes) -> None:
        assert len(data) <= RECEIVE_BYTES
        self.got += data

    def _changed(self) -> None:
        line = self.line
        self.changes.append((line.connected, line.ended, line.error))


@contextmanager
def talk(loop: Loop, greeting: bytes = b"") -> Iterator[tuple[Talk, socket.socket]]:
    """Connect a line; return it and the device's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as device:
        one = Talk(loop)

        def begin() -> None:
            one.line.open((socket.AF_INET, device.getsockname()))
            if greeting:
                one.line.send(greeting)

        run(loop, begin)
        end, _ = device.accept()
        with end:
            end.settimeout(LIMIT_S)
            eventually(lambda: one.changes)
            yield one, end
            run(loop, one.line.close)


def test_data_sent_before_the_connection_arrives(loop: Loop) -> None:
    with talk(loop, b"early") as (one, end):
        assert one.changes == [(True, False, None)]
        assert one.line.usable
        assert one.line.opened_at == 100
        assert end.recv(100) == b"early"
        run(loop, lambda: one.line.send(b"later"))
        assert end.recv(100) == b"later"


def test_megabytes_arrive_whole_at_a_device_that_takes_them_slowly(loop: Loop) -> None:
    data = bytes(range(256)) * 24_576
    with talk(loop) as (one, end):
        run(loop, lambda: one.line.send(data[:5]))
        run(loop, lambda: one.line.send(data[5:]))
        got = bytearray()
        while len(got) < len(data):
            got += end.recv(65_536)
        assert bytes(got) == data
        end.sendall(data[:100_000])
        eventually(lambda: len(one.got) == 100_000)
        assert one.got == data[:100_000]
        assert one.line.usable


def test_a_device_that_closes_the_line_has_ended_it(loop: Loop) -> None:
    with talk(loop) as (one, end):
        end.sendall(b"bye")
        end.shutdown(socket.SHUT_WR)
        eventually(lambda: len(one.changes) == 2)
        assert one.got == b"bye"
        assert one.changes[1] == (False, True, None)
        assert not one.line.usable
        run(loop, lambda: one.line.send(b"too late"))
        assert end.recv(100) == b""


def test_a_device_that_resets_the_line_has_ended_it_by_an_error(loop: Loop) -> None:
    with talk(loop) as (one, end):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()
        eventually(lambda: len(one.changes) == 2)
        connected, ended, error = one.changes[1]
        assert (connected, ended) == (False, True)
        assert isinstance(error, ConnectionResetError)


def test_a_closed_port_is_an_error_and_does_not_end_the_loop(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = unused.getsockname()
    one = Talk(loop)
    run(loop, lambda: one.line.open((socket.AF_INET, address)))
    eventually(lambda: one.changes)
    (change,) = one.changes
    assert change[:2] == (False, False)
    assert isinstance(change[2], ConnectionRefusedError)
    assert change[2].strerror == "Connection refused"
    assert not one.line.usable


def test_an_address_that_can_not_be_connected_to_is_an_error_at_once(loop: Loop) -> None:
    one = Talk(loop)
    run(loop, lambda: one.line.open((socket.AF_INET6, ("127.0.0.1", 9))))
    assert isinstance(one.line.error, OSError)
    assert not one.line.usable


def test_a_closed_line_delivers_nothing_more(loop: Loop) -> None:
    with talk(loop) as (one, end):
        run(loop, one.line.close)
        run(loop, one.line.close)
        assert end.recv(100) == b""
        assert not one.line.usable
        assert one.changes == [(True, False, None)]
