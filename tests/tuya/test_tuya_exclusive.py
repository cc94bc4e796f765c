import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

import pytest
import support
from support.tuya_devices import (
    DPS,
    HASTY,
    MEASURED,
    QUICK,
    FakeDevice,
    LanReader,
    MakeTransport,
    MockRequest,
    MockSession,
    a_meter,
    mock_device,
    say_nothing,
    simulated,
    swallowing_port,
    unused_port,
)
from support.waiting import LIMIT_S, eventually

import esquirell
from esquirell.domain.errors import MeterError, MeterUnreachableError
from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.lan import access, holder
from esquirell.tuya.lan.access import DeviceLock

PATIENT = replace(QUICK, connect_s=300, answer_s=300, lock_wait_s=300, total_s=600)

HOLDER = """
import sys
from pathlib import Path
from esquirell.domain.errors import MeterError
from support.tuya_devices import LanReader, a_meter

transport = LanReader(Path(sys.argv[1]), keep="kept")
meter = a_meter(int(sys.argv[2]), "3.4")
transport.dps(meter)
print("held", flush=True)
for _ in sys.stdin:
    try:
        transport.dps(meter)
        print("read", flush=True)
    except MeterError as error:
        print(error.code, flush=True)
"""


@contextmanager
def holding_process(lock_dir: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has read the meter and keeps the connection to it."""
    packages = [str(Path(package.__path__[0]).parent) for package in (support, esquirell)]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock_dir), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(packages)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def asked_to_read(process: subprocess.Popen[str]) -> str:
    """Have the other process read the meter again; return what came of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_threads_and_transports_read_a_device_one_after_the_other(
    make_transport: MakeTransport,
) -> None:
    transports = [make_transport(limits=PATIENT) for _ in range(2)]
    with simulated("3.4") as device, ThreadPoolExecutor(6) as pool:
        meter = a_meter(device.port, "3.4")
        readings = pool.map(lambda turn: transports[turn % 2].dps(meter), range(12))
        assert list(readings) == [MEASURED] * 12
        assert device.answers == 12


def test_waiting_too_long_for_a_device_reports_it_as_busy(
    make_transport: MakeTransport,
) -> None:
    holder = make_transport(limits=replace(QUICK, answer_s=10, total_s=20))
    other = make_transport()
    with mock_device("3.3", response_delay=1.0) as device, ThreadPoolExecutor(1) as pool:
        meter = a_meter(device.port)
        holding = pool.submit(holder.dps, meter)
        eventually(lambda: device.connected, what="the first read has begun")
        with pytest.raises(MeterUnreachableError, match="being read by another") as failure:
            other.dps(meter)
        assert failure.value.code == "busy"
        assert holding.result() == DPS
        assert device.server.connections == 1


def test_another_process_can_read_a_device_only_when_the_first_has_let_go(
    transport: LanReader, lock_dir: Path
) -> None:
    with simulated("3.4") as device:
        meter = a_meter(device.port, "3.4")
        with holding_process(lock_dir, device.port) as process:
            with pytest.raises(MeterUnreachableError) as failure:
                transport.dps(meter)
            assert failure.value.code == "busy"
            process.kill()
            process.wait()
            assert transport.dps(meter) == MEASURED


def test_a_process_that_was_stopped_keeps_no_device_from_others(
    transport: LanReader, lock_dir: Path
) -> None:
    """The device itself ends the connection of a client that falls silent."""
    with simulated("3.4") as device:
        meter = a_meter(device.port, "3.4")
        with holding_process(lock_dir, device.port) as process:
            process.send_signal(signal.SIGSTOP)
            eventually(lambda: not device.connected, what="the device closes the silent line")
            assert transport.dps(meter) == MEASURED
            lock = DeviceLock(lock_dir, meter.lan_id)
            eventually(lock.acquire, what="the device is free again")
            process.send_signal(signal.SIGCONT)
            assert not DeviceLock(lock_dir, meter.lan_id).acquire()
            assert asked_to_read(process) == "busy"
            lock.release()
            assert asked_to_read(process) == "read"


def test_a_lock_that_was_replaced_is_not_held_any_more(tmp_path: Path) -> None:
    """Also right after it was taken: its file may have been removed between opening and locking."""
    stopped, other = DeviceLock(tmp_path, "id"), DeviceLock(tmp_path, "id")
    assert stopped.acquire()
    (file,) = tmp_path.iterdir()
    file.unlink()
    assert other.acquire()
    assert not stopped.acquire()
    other.release()
    assert stopped.acquire()
    assert not other.acquire()


def test_locks_are_discarded_by_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, other = DeviceLock(tmp_path, "id"), DeviceLock(tmp_path, "id")
    assert held.acquire()
    monkeypatch.setattr(access, "is_stopped", lambda _: True)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert [other.acquire() for _ in range(2)] == [False, False]
    os.close(folder)
    assert [other.acquire() for _ in range(2)] == [False, True]
    assert not held.acquire()


def test_a_stopped_holder_is_the_one_of_that_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two file systems may have the same inode; some name another device than stat does."""
    locks = tmp_path / "locks"
    monkeypatch.setattr(holder, "LOCKS", locks)
    idle = [sys.executable, "-c", "input()"]
    with subprocess.Popen(idle, stdin=subprocess.PIPE) as process, locks.open("w+") as file:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        found = os.fstat(file.fileno())
        here = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"

        def is_stopped(*held: tuple[int, str]) -> bool:
            lines = (
                f"{number}: FLOCK  ADVISORY  WRITE {pid} {device}:{found.st_ino} 0 EOF"
                for number, (pid, device) in enumerate(held)
            )
            locks.write_text("\n".join(lines))
            return holder.is_stopped(file.fileno())

        stopped, runs = process.pid, os.getpid()
        assert is_stopped((stopped, here))
        assert is_stopped((runs, "ff:fe"), (stopped, here))
        assert is_stopped((stopped, "ff:fe"))
        assert not is_stopped((stopped, "ff:fe"), (runs, here))
        assert not is_stopped((stopped, "ff:fe"), (runs, "ff:fd"))
        assert not is_stopped()
        process.kill()


def test_a_busy_device_is_read_when_it_is_free_again(make_transport: MakeTransport) -> None:
    keeper = make_transport(keep="kept")
    other = make_transport()
    with simulated("3.5") as device:
        meter = a_meter(device.port, "3.5")
        keeper.dps(meter)
        for _ in range(2):
            with pytest.raises(MeterUnreachableError, match="being read by another"):
                other.dps(meter)
        keeper.forget("main")
        assert other.dps(meter) == MEASURED


@pytest.mark.parametrize(("keep", "transports"), [(True, 1), (False, 1), (False, 2)])
def test_connections_to_a_device_keep_a_minimum_gap(
    make_transport: MakeTransport, transports: int, *, keep: bool
) -> None:
    contacts: list[float] = []

    def watch(_: MockSession, __: MockRequest, answer: bytes | None) -> bytes | None:
        contacts.append(time.monotonic())
        return answer

    limits = replace(QUICK, gap_s=0.25)
    readers = [
        make_transport(keep="kept" if keep else "closed", limits=limits) for _ in range(transports)
    ]
    with mock_device("3.3", watch) as device:
        for turn in range(3):
            readers[turn % transports].dps(a_meter(device.port))
    gaps = [later - earlier for earlier, later in pairwise(contacts)]
    assert len(gaps) == 2
    # The noted time is that of a file, which is coarser than the clock. A busy machine makes one
    # gap longer now and then, one that is too long by itself is so each time.
    assert 0.25 - 0.005 <= min(gaps) < 1.0


@pytest.mark.parametrize("note", ["3.3 99999999999.0\n", "3.3\n", "\xff\xff nonsense", "3.5", ""])
def test_a_strange_note_of_the_last_contact_does_no_harm(
    make_transport: MakeTransport, lock_dir: Path, note: str
) -> None:
    with simulated("3.3") as device:
        meter = a_meter(device.port)
        make_transport().dps(meter)
        (lock,) = lock_dir.iterdir()
        assert lock.stat().st_mode & 0o777 == 0o600
        lock.write_text(note, encoding="latin1")
        os.utime(lock, (99_999_999_999, 99_999_999_999))
        began = time.monotonic()
        assert make_transport().dps(meter) == MEASURED
        assert time.monotonic() - began < LIMIT_S


def test_a_meter_that_failed_several_times_is_left_alone(make_transport: MakeTransport) -> None:
    transport = make_transport(limits=replace(HASTY, cool_s=60))
    with FakeDevice(say_nothing) as device:
        meter = a_meter(device.port)
        failures = [_failure(transport, meter) for _ in range(3)]
        contacts = device.connections
        cooling = _failure(transport, meter)
        assert device.connections == contacts
        forced = _failure(transport, meter, forced=True)
        assert device.connections == contacts + 1
    assert (cooling.code, str(cooling)) == (failures[-1].code, str(failures[-1]))
    assert type(cooling) is type(forced) is MeterUnreachableError


def test_changed_settings_and_forgetting_end_a_cool_down(make_transport: MakeTransport) -> None:
    transport = make_transport(limits=replace(QUICK, failures_to_cool=1, cool_s=60))
    with simulated("3.3") as device:
        good = a_meter(device.port)
        bad = good.model_copy(update={"port": unused_port()})
        _failure(transport, bad)
        assert transport.dps(good) == MEASURED


def test_meters_are_read_side_by_side(make_transport: MakeTransport) -> None:
    transport = make_transport(limits=PATIENT)
    with FakeDevice(say_nothing) as dead, simulated("3.3") as device:
        meters = [
            a_meter(dead.port, name="dead").model_copy(update={"device_id": "dead"}),
            a_meter(device.port),
        ]
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(_failure, transport, meters[0])
            eventually(lambda: dead.connections)
            assert transport.dps(meters[1]) == MEASURED
            assert not waiting.done()
            transport.close()


def connecting(port: int) -> int:
    """Count the connections to a port that have not come about yet."""
    return Path("/proc/net/tcp").read_text().count(f":{port:04X} 02 ")


def break_off(
    transport: LanReader, meter: Meter, has_begun: Callable[[], bool] = lambda: True
) -> None:
    """Close the transport while it reads, and check that the read ends at once."""
    answers: SimpleQueue[object] = SimpleQueue()
    transport.ask([Question(meter)], lambda _, answer: answers.put(answer))
    # Runs after the read has got as far as it can.
    transport.skip(0.0)
    eventually(has_begun, what="the read has begun")
    assert answers.empty()
    transport.close()
    failure = answers.get(timeout=LIMIT_S)
    assert isinstance(failure, MeterUnreachableError)
    assert failure.code == "unreachable"
    assert "is stopping" in str(failure)


@pytest.mark.parametrize("protocol", ["3.3", "3.4"])
def test_closing_breaks_off_waiting_for_a_device(
    make_transport: MakeTransport, protocol: ProtocolVersion
) -> None:
    with FakeDevice(say_nothing) as device:
        meter = a_meter(device.port, protocol)
        break_off(make_transport(limits=PATIENT), meter, lambda: device.connections > 0)


def test_closing_breaks_off_connecting(make_transport: MakeTransport) -> None:
    with swallowing_port() as port:
        before = connecting(port)
        break_off(make_transport(limits=PATIENT), a_meter(port), lambda: connecting(port) > before)


def test_closing_breaks_off_waiting_for_another_process(make_transport: MakeTransport) -> None:
    with mock_device("3.3") as device:
        make_transport(keep="kept").dps(a_meter(device.port))
        break_off(make_transport(limits=PATIENT), a_meter(device.port))
        assert device.server.connections == 1


def test_closing_breaks_off_waiting_for_the_gap(make_transport: MakeTransport) -> None:
    with mock_device("3.3") as device:
        make_transport().dps(a_meter(device.port))
        break_off(make_transport(limits=replace(PATIENT, gap_s=300)), a_meter(device.port))
        assert device.server.connections == 1


def test_closing_ends_every_wait_for_a_device(make_transport: MakeTransport) -> None:
    transport = make_transport(limits=PATIENT)
    with FakeDevice(say_nothing) as device, ThreadPoolExecutor(3) as pool:
        meter = a_meter(device.port)
        reading = [pool.submit(_failure, transport, meter) for _ in range(3)]
        eventually(lambda: device.connections, what="the first read has begun")
        transport.close()
        assert {result.result(timeout=LIMIT_S).code for result in reading} == {"unreachable"}
        assert device.connections == 1


def test_a_closed_transport_holds_nothing_and_reads_no_more(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(keep="kept")
    with simulated("3.3") as device:
        meter = a_meter(device.port)
        transport.dps(meter)
        transport.close()
        assert "is stopping" in str(_failure(transport, meter))
        assert make_transport().dps(meter) == MEASURED


def _failure(transport: LanReader, meter: Meter, *, forced: bool = False) -> MeterError:
    with pytest.raises(MeterError) as failure:
        transport.dps(meter, forced=forced)
    return failure.value


def test_the_detected_protocol_is_stored_for_the_next_process(tmp_path: Path) -> None:
    first, second = DeviceLock(tmp_path, "id"), DeviceLock(tmp_path, "id")
    assert first.acquire()
    first.version = "3.4"
    first.release()
    assert second.acquire()
    assert second.version == "3.4"
    second.release()
