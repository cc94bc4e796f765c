import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import eventually

from benchmarks.processes import MIB, Tree

# Starts a child that holds eight MiB and one that works for a while and ends, writes a file, waits.
PROGRAM = """
import os, subprocess, sys
work = "import time\\nwhile time.process_time() < 0.3: pass"
hold = "held = bytes(range(256)) * 32768; print('there', flush=True); input()"
subprocess.run([sys.executable, "-c", work], check=True)
child = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE)
with open(sys.argv[1], "wb") as file:
    file.write(b"x" * 65536)
    file.flush()
    os.fsync(file.fileno())
print("ready", flush=True)
input()
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "file")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert {parent.stdout.readline(), parent.stdout.readline()} == {"there\n", "ready\n"}
        yield parent
        parent.communicate("\n")


def test_a_tree_counts_the_children_that_live_and_the_time_of_those_that_ended(
    family: subprocess.Popen[str],
) -> None:
    tree = Tree(family.pid)
    assert len(tree.pids()) == 2
    assert tree.cpu_s() >= 0.3


def test_memory_is_that_of_all_processes(family: subprocess.Popen[str]) -> None:
    both, parent_alone = Tree(family.pid), Tree(family.pid).pids()[0]
    assert parent_alone == family.pid
    assert 8 < both.pss_mib() <= both.rss_mib()


def test_bytes_written_are_what_was_sent_to_the_disk(
    family: subprocess.Popen[str], tmp_path: Path
) -> None:
    if _in_memory(tmp_path):
        pytest.skip("the file lies in memory")
    assert 65_536 <= Tree(family.pid).written_bytes() < MIB


def test_cpu_time_grows_with_work_and_not_with_waiting() -> None:
    tree = Tree(os.getpid())
    before = tree.cpu_s()
    end = time.process_time() + 0.05
    eventually(lambda: time.process_time() > end or sum(range(10_000)) < 0)
    assert tree.cpu_s() > before


def test_a_process_that_has_disappeared_has_used_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    tree = Tree(gone.pid)
    assert (tree.cpu_s(), tree.pss_mib(), tree.written_bytes()) == (0.0, 0.0, 0)


def _in_memory(folder: Path) -> bool:
    """Return whether the longest mount point above a folder is of a file system in memory."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(place, kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(above, key=lambda mount: len(mount[0]))[1] in {"tmpfs", "ramfs"}
