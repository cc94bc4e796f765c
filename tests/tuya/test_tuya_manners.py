"""Held lines are polite: devices with each bad habit are still read, and left in peace."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.tuya_devices import KEY, LanReader, a_meter, mock_device
from support.waiting import eventually

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.lan import access
from esquirell.tuya.lan import device as held
from esquirell.tuya.lan.access import BORNE_S, FIRST_S, LONGEST_S, Suspension
from esquirell.tuya.lan.codec import Codec, FrameBuffer
from esquirell.tuya.tinytuya_import import DP_QUERY, HEART_BEAT, STATUS

DPS = {"1": True, "18": 5}


class Scripted:
    """A 3.3 device whose habits are chosen; counts what it sees."""

    def __init__(
        self,
        *,
        closes_after_answer: bool = False,
        closes_on_heartbeat: int = 0,
        ignores_heartbeats: bool = False,
        falls_silent: bool = False,
        one_client: bool = False,
        reports_only: Mapping[str, Any] | None = None,
    ) -> None:
        self.connections = self.heartbeats = self.queries = self._serving = 0
        self.awake = True
        self._closes_after_answer = closes_after_answer
        self._closes_on_heartbeat = closes_on_heartbeat
        self._ignores_heartbeats = ignores_heartbeats
        self._falls_silent = falls_silent
        self._one_client = one_client
        self._reports_only = reports_only
        self._clients: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def meter(self) -> Meter:
        return a_meter(self.port)

    def close(self) -> None:
        for end in (self._server, *self._clients):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._clients):
            end.close()

    @property
    def is_connected(self) -> bool:
        return self._serving > 0

    def report(self, dps: Mapping[str, Any]) -> None:
        said = json.dumps({"dps": dps}).encode()
        self._clients[-1].sendall(Codec("3.3", KEY.encode()).pack(STATUS, said, 7, answers=True))

    def disconnect(self) -> None:
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                if self._one_client:
                    self.disconnect()
                self._clients.append(client)
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        codec, frames, beats = Codec("3.3", KEY.encode()), FrameBuffer(), 0
        with self._serves(), suppress(OSError):
            while data := client.recv(4096):
                for frame in frames.feed(data):
                    request = codec.unpack(frame)
                    if request.command == DP_QUERY:
                        self.queries += 1
                        self._answer(client, codec)
                    elif request.command == HEART_BEAT:
                        beats += 1
                        self.heartbeats += 1
                        if beats == self._closes_on_heartbeat:
                            client.shutdown(socket.SHUT_RDWR)
                        elif self._awake_for_heartbeats:
                            client.sendall(codec.pack(HEART_BEAT, b"", 1, answers=True))

    @contextmanager
    def _serves(self) -> Iterator[None]:
        self._serving += 1
        try:
            yield
        finally:
            self._serving -= 1

    @property
    def _awake_for_heartbeats(self) -> bool:
        return self.awake and not self._ignores_heartbeats

    def _answer(self, client: socket.socket, codec: Codec) -> None:
        if not self.awake:
            return
        said = json.dumps({"dps": DPS}).encode()
        client.sendall(codec.pack(DP_QUERY, said, 1, answers=True))
        if self._reports_only:
            more = json.dumps({"dps": self._reports_only}).encode()
            client.sendall(codec.pack(STATUS, more, 2, answers=True))
        if self._closes_after_answer:
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def scripted(**habits: Any) -> Iterator[Scripted]:  # noqa: ANN401 - as Scripted takes them
    one = Scripted(**habits)
    try:
        yield one
    finally:
        one.close()


class Ear:
    """Notes the events of lines."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.reports = 0

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        del meter, heard
        self.reports += 1

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, data))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def holder(lock_dir: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> Iterator[LanReader]:
    """Hold lines with times that are a hundredth of the real ones."""
    monkeypatch.setattr(held, "HEARTBEAT_S", 0.15)
    monkeypatch.setattr(held, "HEARTBEAT_ANSWER_S", 0.15)
    monkeypatch.setattr(access, "RETRY_S", 0.02)
    monkeypatch.setattr(held, "TOGETHER_S", 0.005)
    reader = LanReader(lock_dir, keep="held", listener=ear)
    yield reader
    reader.close()


def test_heartbeats_are_sent_while_nothing_else_is(
    holder: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "HEARTBEAT_S", 1.0)
    with scripted() as device:
        for _ in range(20):
            holder.dps(device.meter)
            time.sleep(0.02)
        assert device.heartbeats == 0
        eventually(lambda: device.heartbeats >= 2)
        assert device.connections == 1


def test_a_device_that_never_answers_heartbeats_keeps_its_line(holder: LanReader) -> None:
    with scripted(ignores_heartbeats=True) as device:
        holder.dps(device.meter)
        eventually(lambda: device.heartbeats >= 8)
        assert (device.connections, device.queries) == (1, 2)


def test_a_line_that_fell_silent_is_opened_anew_and_suspends_nothing(
    holder: LanReader, ear: Ear
) -> None:
    with scripted() as device:
        holder.dps(device.meter)
        device.awake = False
        eventually(lambda: device.connections >= 5)
        assert ear.events == []
        device.awake = True
        eventually(lambda: device.queries >= 3)
        assert holder.dps(device.meter) == DPS


@pytest.mark.parametrize("habits", [{"closes_after_answer": True}, {"closes_on_heartbeat": 2}])
def test_a_device_that_keeps_closing_its_line_is_only_polled(
    holder: LanReader, ear: Ear, habits: Mapping[str, Any]
) -> None:
    with scripted(**habits) as device:
        holder.dps(device.meter)
        eventually(lambda: ear.kinds == ["push_suspended"])
        assert ear.events[0][1] == {"meter": "main", "seconds": FIRST_S}
        connections = device.connections
        time.sleep(0.4)
        assert device.connections == connections <= 4
        assert holder.dps(device.meter) == DPS


def test_while_suspended_each_poll_leaves_the_line_open_for_a_moment(
    holder: LanReader, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "SUSPENDED_OPEN_S", 0.4)
    with scripted(closes_on_heartbeat=1) as device:
        holder.dps(device.meter)
        eventually(lambda: ear.kinds == ["push_suspended"])
        connections, heartbeats = device.connections, device.heartbeats
        polled = time.monotonic()
        assert holder.read(Question(device.meter)).push == "suspended"
        device.report({"18": 6})
        eventually(lambda: ear.reports)
        assert device.is_connected
        eventually(lambda: not device.is_connected)
        assert time.monotonic() - polled >= 0.4
        assert (device.connections, device.heartbeats) == (connections + 1, heartbeats)


def test_a_device_that_closes_each_line_after_a_while_is_held_all_the_same(
    holder: LanReader, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some do so every twenty minutes: what lives longer than two is no sign of anything."""
    monkeypatch.setattr(access, "YOUNG_S", 0.1)
    with scripted() as device:
        holder.dps(device.meter)
        for count in range(2, 7):
            time.sleep(0.2)
            device.disconnect()
            eventually(lambda: device.queries >= count)  # noqa: B023
            assert device.connections == count
        assert ear.events == []


def test_it_is_held_again_after_a_while_and_suspended_for_longer(
    holder: LanReader, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "Suspension", lambda: Suspension(first_s=0.3))
    with scripted(closes_after_answer=True) as device:
        holder.dps(device.meter)
        eventually(lambda: ear.kinds[:3] == ["push_suspended", "push_resumed", "push_suspended"])


def test_a_second_client_wins_in_the_end(holder: LanReader, ear: Ear) -> None:
    """The phone's app and we would throw each other out for ever."""
    with scripted(one_client=True) as device:
        holder.dps(device.meter)
        phone = socket.socket()
        while not ear.events:
            phone.close()
            phone = socket.create_connection(("127.0.0.1", device.port))
            phone.settimeout(0.2)
            with suppress(OSError):
                phone.recv(1)
        phone.close()
        assert ear.kinds == ["push_suspended"]


@pytest.mark.parametrize("push", [True, "auto"])
def test_true_never_suspends_and_incomplete_answers_neither(
    ear: Ear, holder: LanReader, *, push: bool | str
) -> None:
    only = {"6": "AAAA"} if push == "auto" else None
    with scripted(closes_after_answer=True, reports_only=only) as device:
        meter = device.meter.model_copy(update={"push": push})
        holder.dps(meter)
        eventually(lambda: device.connections >= 6)
        assert ear.events == []


def test_a_meter_that_reports_increments_is_never_suspended(holder: LanReader, ear: Ear) -> None:
    """They come no other way, though each answer holds the last one."""
    with scripted(closes_after_answer=True, reports_only={"18": 5}) as device:
        holder.read(Question(device.meter, increments=frozenset({"18"})))
        eventually(lambda: device.connections >= 6)
        assert ear.events == []


def test_lines_that_are_cut_together_suspend_nothing(
    holder: LanReader, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The access point was started anew, or the power was gone."""
    monkeypatch.setattr(held, "TOGETHER_S", 5.0)
    with scripted() as one, scripted() as other:
        pairs = [
            (one, one.meter),
            (other, other.meter.model_copy(update={"name": "other", "device_id": "other"})),
        ]
        for _, meter in pairs:
            holder.dps(meter)
        for count in range(4):
            for device, _ in pairs:
                device.disconnect()
            eventually(lambda: all(device.queries >= count + 2 for device, _ in pairs))  # noqa: B023
    assert ear.events == []


def test_a_device_that_needs_to_be_switched_off_and_on_is_not_hammered(
    holder: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses all connections: they are tried ever more seldom."""
    monkeypatch.setattr(access, "RETRY_S", 0.1)
    with mock_device("3.3") as mock:
        meter = a_meter(mock.port)
        holder.dps(meter)
    refused: list[float] = []
    usual = socket.socket.connect

    def connect(end: socket.socket, where: tuple[str, int]) -> None:
        if where[1] == meter.port:
            refused.append(time.monotonic())
        usual(end, where)

    monkeypatch.setattr(socket.socket, "connect", connect)
    time.sleep(2.0)
    assert 2 <= len(refused) <= 8


def test_three_young_lines_within_ten_minutes_suspend() -> None:
    one = Suspension()
    assert [one.closed(now, 5.0) for now in (0, 300, 599)] == [False, False, True]
    assert one.active(599 + FIRST_S - 1)
    assert not one.active(599 + FIRST_S)


def test_lines_that_lived_for_two_minutes_or_lie_far_apart_do_not() -> None:
    one = Suspension()
    assert not any(one.closed(now, 1200.0) for now in range(0, 7200, 1200))
    assert not any(one.closed(now, 5.0) for now in range(0, 7200, 400))


def test_each_suspension_takes_twice_as_long_up_to_a_day() -> None:
    one, now, took = Suspension(), 0.0, []
    for _ in range(10):
        for _ in range(3):
            now += 1
            one.closed(now, 1.0)
        took.append(one.until - now)
        now = one.until
    assert took[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert took[-1] == LONGEST_S
    one.closed(now, BORNE_S)
    for _ in range(3):
        now += 1
        one.closed(now, 1.0)
    assert one.until - now == FIRST_S
