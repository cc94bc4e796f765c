"""Programs that run beside the demo, and their cleanup if the demo is killed."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

LAST_LINES = 12

# Reads process ids until the demo, which holds the other end of the pipe, is gone. The last is the
# service's, which needs some seconds to end itself and its own Redis.
_WAIT_FOR_THE_END = """
while read -r pid; do pids="$pids $pid"; last=$pid; done
[ -z "$pids" ] || kill $pids
for second in 1 2 3 4 5 6 7 8 9 10; do kill -0 $last && sleep 1; done
rm -rf -- "$1"
"""


class Guard:
    """A shell that does nothing unless the demo is killed: then it cleans up."""

    def __init__(self, folder: Path) -> None:
        self._command = ["/bin/sh", "-c", _WAIT_FOR_THE_END, "esquirell-demo", str(folder)]

    def watch(self, pid: int) -> None:
        """Register a process to end when the demo is gone."""
        assert self._process.stdin is not None  # noqa: S101 - asked for below; for the type checker
        self._process.stdin.write(b"%d\n" % pid)
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell: the demo has cleaned up itself."""
        with self._process:
            self._process.terminate()


class Child:
    """A program with a log file, in its own session: Ctrl-C reaches the demo only.

    It runs inside the `with` block; `end_s` is how many seconds it has to end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        guard: Guard,
        *,
        environment: Mapping[str, str] | None = None,
        end_s: float = 5.0,
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._guard = guard
        self._environment = environment
        self._end_s = end_s

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the program runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Return the last lines of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        return "".join(lines[-LAST_LINES:])

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        """Ask the program and its children to end; kill them if they do not."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(self._end_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
