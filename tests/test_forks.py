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

# The child's file gets the number that the lock had.
WRITER = """
import os, sys
from pathlib import Path
from esquirell.daemon.lock import RunLock
from esquirell.tuya.lan.access import DeviceLock

folder = Path(sys.argv[1])
run, device = RunLock(folder / "run"), DeviceLock(folder, "id")
run.take()
assert device.acquire()
if child := os.fork():
    os._exit(os.waitpid(child, 0)[1])
for name in ("first", "second"):
    os.write(os.open(folder / name, os.O_WRONLY | os.O_CREAT), b"the user's own")
run.note_up()
assert not device.acquire()
device.release()
os._exit(0)
"""


def test_a_child_writes_into_no_file_that_has_the_number_of_a_lock(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True)
    assert {(tmp_path / name).read_text() for name in ("first", "second")} == {"the user's own"}


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
