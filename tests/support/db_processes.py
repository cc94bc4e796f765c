"""Writers in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from support.waiting import LIMIT_S

TESTS = Path(__file__).parent.parent


class Writer:
    """A process that stores readings of some meters, one second apart from `offset` on."""

    def __init__(
        self, url: str, meters: list[str], readings: int = 1_000_000, offset: float = 0
    ) -> None:
        self._last = -1
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.db_writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(TESTS)},
        )
        task = {"url": url, "meters": meters, "readings": readings, "offset": offset}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(task))
        self._process.stdin.close()
        self._process.stdin = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=LIMIT_S)

    def stored(self) -> int:
        """Wait until the next reading is stored, and return its number."""
        assert self._process.stdout
        self._last = int(self._process.stdout.readline())
        return self._last

    def kill(self) -> int:
        """End it by SIGKILL; return the number of the last reading that it called stored."""
        assert self._process.stdout
        self._process.kill()
        # The last line may be cut.
        lines = self._process.stdout.read().splitlines(keepends=True)
        self._last = max([self._last, *(int(line) for line in lines if line.endswith("\n"))])
        return self._last

    def finish(self) -> str:
        """Wait for its end; return what it complained of."""
        _told, errors = self._process.communicate(timeout=LIMIT_S)
        return errors
