"""Locks end with their process, also when a child that it forked lives on."""

import signal
import subprocess
import sys
from pathlib import Path

from support.waiting import eventually

from esquirell.daemon.lock import RunLock
from esquirell.tuya.lan.access import DeviceLock

# As a task of a user's that uses multiprocessing, in a service that is killed.
HOLDER = """
import os, signal, sys
from pathlib import Path
from esquirell.daemon.lock import RunLock
from esquirell.tuya.lan.access import DeviceLock

folder = Path(sys.argv[1])
run, device = RunLock(folder / "run"), DeviceLock(folder, "id")
run.take()
assert device.acquire()
if os.fork():
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def test_a_child_keeps_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as holder:
        assert holder.wait() == -signal.SIGKILL
        run, device = RunLock(tmp_path / "run"), DeviceLock(tmp_path, "id")
        eventually(lambda: not run.held())
        run.take()
        eventually(device.acquire)
        run.release()
        device.release()
