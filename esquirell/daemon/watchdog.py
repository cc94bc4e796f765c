"""The watchdog: restarts dead parts, and ends a process in which something or a disk hangs."""

import faulthandler
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from esquirell.daemon.notify import notify, sign_of_life_every_s
from esquirell.daemon.parts import ServicePart, together
from esquirell.domain.record import record
from esquirell.services.patience import Lane, StalledError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
# A check that is so late, in seconds beyond its pause, was held up together with all else.
STOPPED_FOR_S = 10.0
HANGS_AFTER_S = 60.0
HUNG_EXIT_CODE = 70
END_S = 3.0


@record
class Gauge:
    """A value to watch: for how many seconds something has been silent."""

    name: str
    silent_s: Callable[[], float]
    limit_s: float = HANGS_AFTER_S


class Progress:
    """Records that a loop makes progress, for a gauge."""

    def __init__(self) -> None:
        self._noted_at = time.monotonic()

    def note(self) -> None:
        """Record an iteration of the loop."""
        self._noted_at = time.monotonic()

    def silent_s(self) -> float:
        """Return the seconds since the last recorded iteration."""
        return time.monotonic() - self._noted_at


class Watchdog:
    """Checks all parts and gauges every few seconds, and notifies systemd while all is well.

    `on_look` then returns the status that systemd shows. Something that hangs can't be ended inside
    a Python process, so the process ends and its supervisor (systemd, docker) restarts it. After
    the process itself was stopped, as by `docker pause`, everything has its time anew. So it has
    when `excuse` says why it hangs, such as a disk or a slow Redis: readings in memory would be
    lost by an end.
    """

    def __init__(
        self,
        parts: Sequence[ServicePart],
        gauges: Sequence[Gauge],
        on_look: Callable[[], str],
        look_every_s: float = LOOK_EVERY_S,
        excuse: Callable[[], str] = str,
    ) -> None:
        self._look_every_s = look_every_s
        self._parts = parts
        self._gauges = [*gauges, *(Gauge(part.name, part.silent_s) for part in parts)]
        self._on_look = on_look
        self._excuse = excuse
        self._stop = threading.Event()
        # When the process went on after it was stopped (monotonic s).
        self._resumed_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start all parts, then watch them."""
        self._on_look()
        for part in self._parts:
            part.start()
        self._thread.start()

    def stop(self) -> None:
        """End all parts, then the watch."""
        self._stop.set()
        for part in self._parts:
            part.stop()
        deadline = time.monotonic() + END_S
        for part in self._parts:
            part.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        pause_s = sign_of_life_every_s(self._look_every_s)
        while self._waits(pause_s):
            try:
                self._look()
            except Exception:  # a disk that fails now may work at the next check
                log.exception("the watchdog could not check")

    def _look(self) -> None:
        for part in self._parts:
            if not part.alive and not self._stop.is_set():
                log.error("%s has died and is restarted", part.name)
                part.start()
        running_s = time.monotonic() - self._resumed_at
        silences = [(gauge, min(gauge.silent_s(), running_s)) for gauge in self._gauges]
        hung = [(gauge, silent_s) for gauge, silent_s in silences if silent_s > gauge.limit_s]
        if hung:
            self._judge(*hung[0])
        notify("WATCHDOG=1", f"STATUS={self._on_look()}")

    def _judge(self, gauge: Gauge, silent_s: float) -> None:
        """End the process because of what hangs, unless that is excused."""
        reason = self._excuse()
        if not reason:
            _end(gauge)
        log.warning("%s has been hanging for %.0f s: %s", gauge.name, silent_s, reason)
        self._resumed_at = time.monotonic()

    def _waits(self, pause_s: float) -> bool:
        """Wait until the next check is due; return whether there is one."""
        began = time.monotonic()
        is_over = self._stop.wait(together(pause_s, time.time()))
        now = time.monotonic()
        if now - began > pause_s + STOPPED_FOR_S:
            log.warning("the process was stopped for %.0f s", now - began)
            self._resumed_at = now
        return not is_over


def _end(gauge: Gauge) -> None:
    log.critical(
        "%s has been hanging for %.0f s; the process ends to be restarted",
        gauge.name,
        gauge.silent_s(),
    )
    faulthandler.dump_traceback()
    os._exit(HUNG_EXIT_CODE)


class Disks:
    """Tries the disks of some folders by writing to them; nothing stays there.

    A wait for a disk that hangs can't be ended, and ends once it is back.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._lanes = {folder: Lane(f"the disk of {folder}") for folder in dict.fromkeys(folders)}

    def trouble(self) -> str:
        """Return which disk hangs, in a sentence; empty if none does. Takes seconds at most."""
        for folder, lane in self._lanes.items():
            try:
                lane.run(partial(_write, folder))
            except StalledError as error:
                return str(error)
        return ""


def _write(folder: Path) -> None:
    """Write something for good. One that refuses does not hang."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"alive")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return
