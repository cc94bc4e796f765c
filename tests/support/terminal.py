"""A program in a terminal of its own, with someone who reads and types."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Self

from support.waiting import LIMIT_S


class Terminal:
    def __init__(self, command: Sequence[str], columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        # The variable would win over the size of the terminal.
        environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment,
        )
        os.close(theirs)
        self._seen = 0
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(LIMIT_S)
        os.close(self._ours)

    def answer(self, prompt: str, text: str) -> None:
        """Type a line when a new prompt is there."""
        deadline = time.monotonic() + LIMIT_S
        while prompt not in self.text[self._seen :]:
            alive = self._process.poll() is None and time.monotonic() < deadline
            assert self._read() or alive, f"no prompt {prompt}: {self.text}"
        self._seen = len(self.text)
        os.write(self._ours, text.encode() + b"\n")

    def finish(self) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self._process.poll() is None or self._read():
            assert time.monotonic() < deadline, f"it does not end: {self.text}"
            self._read()
        return self._process.returncode

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.1)[0]:
            return False
        try:
            said = os.read(self._ours, 4096)
        except OSError:  # Linux says so that nobody is left at the other end
            return False
        self.text += said.decode(errors="replace")
        return bool(said)
