"""Meters that are found on the LAN by their device ids."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tuya_broadcasts import Broadcaster, free_ports, listener, packet
from support.tuya_devices import (
    DEVICE_ID,
    KEY,
    MEASURED,
    OTHER_KEY,
    FakeDevice,
    LanReader,
    a_meter,
    simulated,
)
from support.waiting import eventually

from esquirell.domain.errors import (
    MeterError,
    MeterRejectedError,
    MeterUnreachableError,
    UnavailableError,
)
from esquirell.domain.meter import Meter
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.listener import Announcement, Listener, Ports, parse
from esquirell.tuya.errors import not_found

PRODUCT = "gqmmtjclqb7reg5p"
ELSEWHERE = "127.0.0.2"
LONG_S = 60.0
"""For searches that end when the device is heard."""


@pytest.fixture(scope="module")
def ports() -> Ports:
    return free_ports()


@pytest.fixture
def addresses(tmp_path: Path) -> Addresses:
    return Addresses(tmp_path / "addresses")


@pytest.fixture
def finder(ports: Ports) -> Iterator[Finder]:
    finder = Finder(lambda: listener(ports), LONG_S, 0.5)
    yield finder
    finder.stop()


@pytest.fixture
def hasty_finder(ports: Ports) -> Iterator[Finder]:
    finder = Finder(lambda: listener(ports), 0.5)
    yield finder
    finder.stop()


def heard(ports: Ports, count: int) -> set[Announcement]:
    """Listen until `count` devices were heard."""
    found: set[Announcement] = set()
    with listener(ports) as listening:
        for announced in listening.listen(LONG_S, threading.Event()):
            found |= {announced} if announced else set()
            if len(found) == count:
                break
    return found


def an_auto_meter(port: int = 1, device_id: str = DEVICE_ID) -> Meter:
    return a_meter(port, "3.4", address="auto").model_copy(update={"device_id": device_id})


def test_devices_of_all_protocols_are_heard(ports: Ports) -> None:
    with ExitStack() as devices:
        for version in ("3.1", "3.3", "3.4", "3.5"):
            address = f"192.0.2.{version[-1]}"
            devices.enter_context(Broadcaster(ports, f"dev{version[-1]}", version, address=address))
        assert heard(ports, 4) == {
            Announcement(f"dev{minor}", f"192.0.2.{minor}", f"3.{minor}", PRODUCT)
            for minor in (1, 3, 4, 5)
        }


def test_several_listeners_hear_the_same_device(ports: Ports) -> None:
    with Broadcaster(ports, "shared"), ThreadPoolExecutor(2) as pool:
        both = [pool.submit(heard, ports, 1) for _ in range(2)]
        assert both[0].result() == both[1].result()


@given(st.binary(max_size=200))
def test_strange_packets_are_no_announcements(data: bytes) -> None:
    assert parse(data, "192.0.2.1") is None


@pytest.mark.parametrize(
    "said",
    [
        b"[]",
        b"{}",
        b"[" * 5000,
        b'{"gwId": 5}',
        b'{"gwId": "../../etc/passwd"}',
        b'{"gwId": ""}',
        b'{"from": "app", "ip": "192.0.2.1"}',
    ],
)
@pytest.mark.parametrize("version", ["3.1", "3.3", "3.5"])
def test_packets_that_name_no_device_are_left_out(version: str, said: bytes) -> None:
    assert parse(packet(version, said), "192.0.2.1") is None


def test_what_an_announcement_says_wrongly_is_left_out() -> None:
    said = {"gwId": "dev", "ip": "evil.example", "version": "9", "productKey": "<b>"}
    assert parse(packet("3.3", said), "192.0.2.7") == Announcement("dev", "192.0.2.7")


def test_a_port_that_another_program_has_for_itself_is_named(ports: Ports) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind(("", 0))
        taken = int(selfish.getsockname()[1])
        with Listener(Ports(taken, ports.encrypted, ports.app)) as listening:
            assert list(listening.blocked) == [taken]
            assert f"UDP {taken} can't be opened (Address already in use)" in listening.trouble
        with pytest.raises(UnavailableError, match=f"{taken}"), Listener(Ports(*[taken] * 3)):
            pass


def test_meters_that_are_searched_for_share_one_listener(ports: Ports) -> None:
    opened = []

    def open_one() -> Listener:
        opened.append(1)
        return listener(ports)

    finder = Finder(open_one, LONG_S)
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:

        def search(name: str) -> Future[Announcement]:
            return pool.submit(finder.find, an_auto_meter(device_id=name))

        def announce(name: str) -> None:
            stack.enter_context(Broadcaster(ports, name, address=f"192.0.2.{len(name)}"))

        # The first goes on until the others have found theirs.
        first = search("first")
        eventually(lambda: opened)
        others = [search("b"), search("cc")]
        announce("b")
        announce("cc")
        assert [one.result().address for one in others] == ["192.0.2.1", "192.0.2.2"]
        announce("first")
        assert first.result().address == "192.0.2.5"
    assert opened == [1]


def test_a_device_that_is_not_heard_is_reported_with_what_to_check(hasty_finder: Finder) -> None:
    with pytest.raises(MeterUnreachableError, match="no Tuya device was heard at all") as caught:
        hasty_finder.find(an_auto_meter())
    assert caught.value.code == "unreachable"


def test_that_others_were_heard_is_reported(ports: Ports, hasty_finder: Finder) -> None:
    with Broadcaster(ports, "other"), pytest.raises(MeterUnreachableError, match=r"heard \(1\)"):
        hasty_finder.find(an_auto_meter())


def test_ports_that_are_taken_are_the_reason() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind(("", 0))
        taken = int(selfish.getsockname()[1])
        finder = Finder(lambda: listener(Ports(taken, taken, taken)), LONG_S)
        with pytest.raises(MeterUnreachableError, match=f"UDP {taken}.*already in use"):
            finder.find(an_auto_meter())


def test_a_search_ends_when_the_program_does(finder: Finder) -> None:
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(finder.find, an_auto_meter())
        eventually(searching.running)
        finder.stop()
        with pytest.raises(MeterUnreachableError, match="esquirell is stopping"):
            searching.result(timeout=LONG_S)


def test_a_meter_is_found_and_read(
    ports: Ports, finder: Finder, addresses: Addresses, lock_dir: Path
) -> None:
    follower = LanReader(lock_dir, finder=finder, addresses=addresses)
    with simulated("3.4") as device:
        with Broadcaster(ports, DEVICE_ID):
            assert follower.dps(an_auto_meter(device.port)) == MEASURED
        assert follower.dps(an_auto_meter(device.port)) == MEASURED


def test_a_restart_needs_no_search(
    ports: Ports, finder: Finder, tmp_path: Path, lock_dir: Path
) -> None:
    folder = tmp_path / "addresses"
    with simulated("3.4") as device:
        with Broadcaster(ports, DEVICE_ID):
            LanReader(lock_dir, finder=finder, addresses=Addresses(folder)).dps(
                an_auto_meter(device.port)
            )
        finder.stop()
        again = LanReader(lock_dir, finder=finder, addresses=Addresses(folder))
        assert again.dps(an_auto_meter(device.port)) == MEASURED
    (note,) = folder.iterdir()
    assert note.read_text() == "127.0.0.1\n"
    assert note.stat().st_mode & 0o777 == 0o600
    assert DEVICE_ID not in note.name


def test_a_meter_is_followed_to_its_new_address(
    ports: Ports, finder: Finder, addresses: Addresses, lock_dir: Path
) -> None:
    addresses.put(DEVICE_ID, ELSEWHERE)
    with simulated("3.4") as device, Broadcaster(ports, DEVICE_ID):
        follower = LanReader(lock_dir, finder=finder, addresses=addresses)
        assert follower.dps(an_auto_meter(device.port)) == MEASURED
    assert addresses.get(DEVICE_ID) == "127.0.0.1"


def test_an_address_where_the_meter_does_not_answer_is_not_remembered(
    ports: Ports, finder: Finder, addresses: Addresses, lock_dir: Path
) -> None:
    with Broadcaster(ports, DEVICE_ID, address=ELSEWHERE), pytest.raises(MeterUnreachableError):
        LanReader(lock_dir, finder=finder, addresses=addresses).dps(an_auto_meter())
    assert addresses.get(DEVICE_ID) is None


def test_a_device_that_only_claims_an_id_is_not_believed(
    ports: Ports, hasty_finder: Finder, addresses: Addresses, lock_dir: Path
) -> None:
    follower = LanReader(lock_dir, finder=hasty_finder, addresses=addresses)
    announced = Broadcaster(ports, DEVICE_ID)
    rejected = pytest.raises(MeterRejectedError)
    with simulated("3.4", OTHER_KEY) as impostor, announced, rejected as failure:
        follower.dps(an_auto_meter(impostor.port))
    assert failure.value.code == "wrong_key"
    assert addresses.get(DEVICE_ID) is None


def test_a_device_that_only_claims_an_id_learns_no_key(
    ports: Ports, hasty_finder: Finder, addresses: Addresses, lock_dir: Path
) -> None:
    follower = LanReader(lock_dir, finder=hasty_finder, addresses=addresses)
    heard: list[bytes] = []
    listening = FakeDevice(lambda connection: heard.append(connection.recv(4096)))
    with listening as impostor, Broadcaster(ports, DEVICE_ID), pytest.raises(MeterError):
        follower.dps(an_auto_meter(impostor.port))
    assert any(heard)
    assert KEY.encode() not in b"".join(heard)


def test_what_another_process_found_is_used(finder: Finder, tmp_path: Path, lock_dir: Path) -> None:
    ours, theirs = (Addresses(tmp_path / "addresses") for _ in range(2))
    ours.put(DEVICE_ID, ELSEWHERE)
    theirs.put(DEVICE_ID, "127.0.0.1")
    assert (tmp_path / "addresses").stat().st_mode & 0o777 == 0o700
    finder.stop()
    with simulated("3.4") as device:
        assert (
            LanReader(lock_dir, finder=finder, addresses=ours).dps(an_auto_meter(device.port))
            == MEASURED
        )


class CountingFinder(Finder):
    """Finds nothing, and counts how often it searched."""

    searches = 0

    def find(self, meter: Meter, but: str = "") -> Announcement:
        del but
        self.searches += 1
        raise not_found(meter, 1, 0, "")


def test_after_an_unsuccessful_search_the_next_one_waits(
    addresses: Addresses, lock_dir: Path
) -> None:
    finder = CountingFinder()
    follower = LanReader(lock_dir, finder=finder, addresses=addresses)
    searches = []
    for forced in (False, False, True):
        with pytest.raises(MeterUnreachableError, match="was not found on the LAN"):
            follower.dps(an_auto_meter(), forced=forced)
        searches.append(finder.searches)
    assert searches == [1, 1, 2]


@pytest.mark.parametrize("content", [b"", b"evil.example", b"\xff\xfe", b"999.1.1.1", b"x" * 9999])
def test_a_damaged_note_counts_as_none(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "addresses"
    Addresses(folder).put(DEVICE_ID, "192.0.2.1")
    (note,) = folder.iterdir()
    note.write_bytes(content)
    assert Addresses(folder).get(DEVICE_ID) is None


def test_a_folder_that_cant_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "addresses").write_text("a file in its place")
    addresses = Addresses(tmp_path / "addresses")
    addresses.put(DEVICE_ID, "192.0.2.1")
    assert addresses.get(DEVICE_ID) == "192.0.2.1"
