from dataclasses import replace

import pytest
from support.tuya_devices import QUICK

from esquirell.domain.errors import MeterRejectedError, MeterUnreachableError
from esquirell.tuya.lan.access import CoolDown


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cooling(clock: Clock) -> CoolDown:
    return CoolDown(QUICK, clock)


def cools_for(cooling: CoolDown, clock: Clock) -> float:
    began = clock.time
    while True:
        try:
            cooling.check()
        except MeterUnreachableError:
            clock.time += 0.1
        else:
            return clock.time - began


def test_a_few_failures_cool_nothing(cooling: CoolDown, clock: Clock) -> None:
    for _ in range(QUICK.failures_to_cool - 1):
        cooling.failed(MeterUnreachableError("unreachable", "main is away"))
        assert cools_for(cooling, clock) == 0


def test_more_failures_cool_longer_and_longer(cooling: CoolDown, clock: Clock) -> None:
    times = []
    for _ in range(7):
        cooling.failed(MeterUnreachableError("unreachable", "main is away"))
        times.append(cools_for(cooling, clock))
    assert times[2:] == pytest.approx([0.5, 0.8, 0.8, 0.8, 0.8], abs=0.11)


def test_the_last_failure_is_reported_again(cooling: CoolDown) -> None:
    for number in range(QUICK.failures_to_cool):
        cooling.failed(MeterRejectedError("wrong_key", f"failure {number}"))
    with pytest.raises(MeterRejectedError, match="failure 2") as again:
        cooling.check()
    assert again.value.code == "wrong_key"


def test_a_success_forgets_all_failures(cooling: CoolDown, clock: Clock) -> None:
    for _ in range(QUICK.failures_to_cool):
        cooling.failed(MeterUnreachableError("unreachable", "main is away"))
    cooling.succeeded()
    cooling.check()
    cooling.failed(MeterUnreachableError("unreachable", "main is away"))
    assert cools_for(cooling, clock) == 0


def test_each_further_failure_cools_twice_as_long(clock: Clock) -> None:
    cooling = CoolDown(replace(QUICK, cool_max_s=3600.0), clock)
    times = []
    for _ in range(6):
        cooling.failed(MeterUnreachableError("unreachable", "main is away"))
        times.append(cools_for(cooling, clock))
    assert times == pytest.approx([0, 0, 0.5, 1, 2, 4], abs=0.11)
    for _ in range(40):
        cooling.failed(MeterUnreachableError("unreachable", "main is away"))
    assert cools_for(cooling, clock) == pytest.approx(3600, abs=0.11)
