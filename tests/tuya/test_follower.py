"""A meter that can't be read at its address: where its device announces itself by now."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.tuya_broadcasts import Broadcaster, free_ports, listener
from support.tuya_devices import DEVICE_ID, a_meter

from esquirell.domain.errors import MeterError, MeterRejectedError
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.follower import Follower, Script, T
from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.lan.network import forget

ADDRESS, ELSEWHERE = "192.0.2.7", "192.0.2.8"
REFUSED = MeterRejectedError("wrong_key", "main does not accept its local_key")


@pytest.fixture(scope="module")
def ports() -> Ports:
    return free_ports()


@pytest.fixture
def follower(ports: Ports, tmp_path: Path) -> Iterator[Follower]:
    finder = Finder(lambda: listener(ports), elsewhere_s=0.5)
    yield Follower(finder, Addresses(tmp_path), at_once, forget)
    finder.stop()


def at_once(work: Callable[[], T]) -> Script[T]:
    """Do in this thread what the loop does in another."""
    yield from ()
    return work()


def reason(
    follower: Follower, address: str = ADDRESS, error: MeterError = REFUSED, *, forced: bool = True
) -> MeterError:
    question = Question(a_meter(6668, address=address), forced=forced)
    steps = follower.explained(question, error)
    with pytest.raises(StopIteration) as end:
        next(steps)
    found = end.value.value
    assert isinstance(found, MeterError)
    return found


def test_a_meter_at_another_address_is_reported_with_it(ports: Ports, follower: Follower) -> None:
    with Broadcaster(ports, DEVICE_ID, address=ELSEWHERE), Broadcaster(ports, "x", address=ADDRESS):
        found = reason(follower)
    assert found.code == "unreachable"
    assert f"it announces itself at {ELSEWHERE}: set address to that" in str(found)


def test_another_device_at_its_address_is_no_wrong_key(ports: Ports, follower: Follower) -> None:
    with Broadcaster(ports, "another", address=ADDRESS):
        found = reason(follower)
    assert found.code == "unreachable"
    assert "another Tuya device announces itself at its address" in str(found)


def test_at_its_own_address_the_failure_stays(ports: Ports, follower: Follower) -> None:
    with Broadcaster(ports, DEVICE_ID, address=ADDRESS):
        assert reason(follower) is REFUSED
    with Broadcaster(ports, "another", address=ELSEWHERE):
        assert reason(follower) is REFUSED


def test_a_poll_does_not_wait_for_it(follower: Follower) -> None:
    assert reason(follower, forced=False) is REFUSED
    assert reason(follower, "127.0.0.1") is REFUSED
    assert reason(follower, "meter.lan") is REFUSED
