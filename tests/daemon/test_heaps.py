"""Threads share the C library's heaps."""

import os
import subprocess
import sys

import pytest

from esquirell.daemon import heaps

if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
    pytest.skip("only glibc has several heaps", allow_module_level=True)

# glibc tells of its heaps on the stream that it is given.
PROGRAM = """
import ctypes, threading
{first}
start, end = threading.Barrier(13), threading.Barrier(13)
def work():
    kept = [bytes(20_000) for _ in range(50)]
    start.wait(60); end.wait(60)
for _ in range(12):
    threading.Thread(target=work).start()
start.wait(60)
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
end.wait(60)
"""


def count(first: str) -> int:
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.count("<heap nr=")


def test_threads_share_heaps() -> None:
    shared = "from esquirell.daemon.heaps import share_heaps; share_heaps()"
    assert 1 <= count(shared) <= heaps.HEAPS < count("")
