"""A process of a forking pool is a copy of its worker: the lines and locks are not its own."""

import subprocess
import sys
from pathlib import Path

from support.tuya_devices import KEY, LanReader, a_meter, mock_device
from support.waiting import eventually

TESTS = Path(__file__).parents[1]
# The worker holds a line, forks, and ends its line while the process that it forked lives on.
WORKER = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support.tuya_devices import LanReader, a_meter
reader = LanReader(Path({locks!r}), keep="held")
meter = a_meter({port}, "3.4")
before = dict(reader.dps(meter))
hear, say = os.pipe()
end, ended = os.pipe()
child = os.fork()
if child == 0:
    reader.abandon()
    os.write(say, b"x")
    os.read(end, 1)
    os._exit(0)
os.read(hear, 1)
assert reader.dps(meter) == before
print("read", flush=True)
sys.stdin.readline()
reader.close()
print("closed", flush=True)
sys.stdin.readline()
os.write(ended, b"x")
os.waitpid(child, 0)
"""


def test_a_forked_process_lets_go_of_lines_and_locks(lock_dir: Path) -> None:
    with mock_device("3.4") as device:
        script = WORKER.format(tests=str(TESTS), locks=str(lock_dir), port=device.port)
        worker = subprocess.Popen(
            # That the worker has threads when it forks is how it is.
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        # It goes on reading over its line, which the end of nobody else has closed.
        assert worker.stdout.readline() == "read\n"
        assert device.server.connections == 1
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "closed\n"
        # Though a copy of it lives on, the line is closed and the lock is free.
        eventually(lambda: not device.connected)
        other = LanReader(lock_dir)
        assert other.dps(a_meter(device.port, "3.4", KEY))
        other.close()
        worker.stdin.close()
        assert worker.wait(30) == 0
        worker.stdout.close()
