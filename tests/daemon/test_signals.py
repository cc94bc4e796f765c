"""A flag is set by a handler wherever that interrupts who waits for it."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from esquirell.daemon.signals import Flag, StartInterruption, flag_of

# The command line hangs up on itself as soon as it begins to load.
HANGS_UP = """
import os, signal, sys
# It may be ignored where the tests run, as under nohup, and what they start inherits that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from esquirell.__main__ import main
class Hangup:
    def find_spec(self, name, path=None, target=None):
        if name == "esquirell.cli":
            os.kill(os.getpid(), signal.SIGHUP)
sys.meta_path.insert(0, Hangup())
main()
"""


@pytest.fixture
def flag() -> Iterator[Flag]:
    before = signal.getsignal(signal.SIGUSR1)
    yield flag_of([signal.SIGUSR1])
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_sets_it_for_good(flag: Flag) -> None:
    assert not flag.wait(0.01)
    assert not flag.is_set()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert flag.wait(5)
    assert flag.wait()
    assert flag.is_set()


class Cycle:
    """Garbage whose destructor runs while a signal comes."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        # A handler runs between two steps of Python.
        for _ in range(100):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_destructor_is_not_lost(flag: Flag) -> None:
    start = StartInterruption()
    signal.signal(signal.SIGUSR1, start)
    Cycle()
    gc.collect()
    assert start.came
    with pytest.raises(SystemExit):
        start.check()
    before = signal.signal(signal.SIGTERM, flag.set)
    start.repeat()
    assert flag.wait(5)
    signal.signal(signal.SIGTERM, before)
    start.check()


def test_a_signal_during_a_start_ends_it() -> None:
    with pytest.raises(SystemExit) as caught:
        StartInterruption()(signal.SIGTERM, None)
    assert caught.value.code == 0


def test_a_storm_of_signals_causes_no_deadlock(flag: Flag) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, flag.set)
    signal.setitimer(signal.ITIMER_REAL, 0.00005, 0.00005)
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            Flag.wait(flag, 0.0001)
            flag.times = 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert flag.wait(5)


@pytest.mark.parametrize("command", ["run", "worker", "beat", "bridge", "web", "flower", "meters"])
def test_a_service_survives_a_hangup_while_it_loads_and_other_commands_do_not(command: str) -> None:
    program = [sys.executable, "-c", HANGS_UP, command, "--help"]
    done = subprocess.run(program, capture_output=True, check=False)
    assert done.returncode == (-signal.SIGHUP if command == "meters" else 0), done.stderr
