"""What the computer itself knows of the time, on the machine that runs the tests."""

import ctypes
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esquirell.runtime import machine
from esquirell.runtime.machine import Machine

ASK = (
    "from esquirell.runtime.machine import Machine; import time; one = Machine(); "
    "print(one.boot, one.uptime_s(), time.time(), one.is_own_clock(), one.is_synchronized())"
)


def test_it_runs_on_and_its_start_has_one_name() -> None:
    one, other = Machine(), Machine()
    before = one.uptime_s()
    assert one.uptime_s() >= before > 0
    assert one.boot == one.boot
    if sys.platform == "linux":
        assert one.boot == other.boot
        assert len(one.boot) == 36


def test_the_kernels_clock_is_the_clock_of_python() -> None:
    found = machine.kernel_clock()
    if found is None:
        pytest.skip("this system, or its sandbox, does not say what the kernel's clock is")
    assert abs(found[0] - time.time()) < 5
    assert Machine().is_own_clock()


def test_a_battery_backed_clock_is_detected() -> None:
    assert Machine().keeps_time() in {True, False}
    if any(Path("/sys/class/rtc").glob("rtc*")):
        assert Machine().keeps_time()


def test_the_system_call_says_what_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        """A C library in a sandbox that forbids what it does in adjtimex."""

        def __init__(self, _name: None) -> None:
            self.syscall = library.syscall

        def adjtimex(self, _found: object) -> int:
            return -1

    library = ctypes.CDLL(None)
    known = machine.kernel_clock()
    monkeypatch.setattr(ctypes, "CDLL", Forbidden)
    found = machine.kernel_clock()
    if known is None:
        assert found is None
    elif found is not None:  # its number is not known for each kind of machine
        assert found[1] == known[1]
        assert abs(found[0] - known[0]) < 5


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed")
@pytest.mark.parametrize("shown", ["1970-01-02 00:00:00", "2036-11-22 10:15:00"])
def test_another_clock_than_the_kernels_is_never_called_synchronized(shown: str) -> None:
    command = ["faketime", shown, sys.executable, "-c", ASK]
    environment = {"DONT_FAKE_MONOTONIC": "1", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    boot, uptime, now, own, synchronized = done.stdout.split()
    assert abs(float(now) - time.time()) > 86_400
    assert boot == Machine().boot
    assert float(uptime) <= Machine().uptime_s()
    assert (own, synchronized) == ("False", "False")
