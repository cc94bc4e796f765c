"""What the troubleshooting guide says of a broker that fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from support.troubleshooting import House, check_faults


@contextmanager
def broker_stopped(house: House) -> Iterator[None]:
    house.broker.stop()
    yield
    house.broker.start()


@contextmanager
def broker_frozen(house: House) -> Iterator[None]:
    house.broker.freeze()
    yield
    house.broker.thaw()


@contextmanager
def login_refused(house: House) -> Iterator[None]:
    house.broker.stop()
    house.broker.configure(["allow_anonymous false"])
    house.broker.start()
    yield
    house.broker.stop()
    house.broker.configure(["allow_anonymous true"])
    house.broker.start()


def test_every_place_shows_a_fault_of_the_broker(house: House) -> None:
    faults = {
        "the broker is unreachable": broker_stopped,
        "the broker confirms nothing": broker_frozen,
        "the broker refuses the login": login_refused,
    }
    check_faults(house, faults)
