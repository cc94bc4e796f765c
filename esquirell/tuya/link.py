"""Exclusive access to one meter: turn, lock, cool-down, and whether the line stays open."""

import threading
import time
from pathlib import Path
from typing import Any

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.tuya.cooldown import CoolDown
from esquirell.tuya.errors import being_read, no_lock, stopped
from esquirell.tuya.guard import Guard
from esquirell.tuya.limits import Budget, Limits
from esquirell.tuya.reader import Reader


class Link:
    """All that is known of one meter with one set of settings."""

    def __init__(self, meter: Meter, lock_dir: Path, limits: Limits, stop: threading.Event) -> None:
        self.meter = meter
        self._limits = limits
        self._stop = stop
        self._turn = threading.Lock()
        self._guard = Guard(lock_dir, meter.lan_id)
        self._cooling = CoolDown(limits)
        self._reader = Reader(meter, self._guard, limits, stop)
        self._dropped = False

    def read(self, refresh: tuple[int, ...], *, keep: bool, forced: bool) -> dict[str, Any]:
        """Read the meter, leaving the connection open when `keep` says so.

        `forced` reads also while the meter is left alone after failures. Raises
        MeterUnreachableError or MeterRejectedError.
        """
        if not self._turn.acquire(timeout=self._limits.lock_wait_s):
            raise being_read(self.meter)
        try:
            if not forced:
                self._cooling.check()
            self._lock()
            return self._read(refresh, Budget(self._limits.total_s), keep=keep)
        finally:
            self._turn.release()
            self._tidy()

    def drop(self) -> None:
        """Close everything now, or at the end of the read that is under way."""
        self._dropped = True
        self._tidy()

    def abort(self) -> None:
        """Break off the read that is under way in another thread."""
        self._reader.abort()

    def _lock(self) -> None:
        # Those behind one gateway take turns.
        wait_s = self._limits.gateway_wait_s if self.meter.cid else self._limits.lock_wait_s
        try:
            held = self._guard.acquire(time.monotonic() + wait_s, self._stop)
        except OSError as error:
            raise no_lock(self.meter, error) from error
        if self._stop.is_set():
            raise stopped(self.meter)
        if not held:
            raise being_read(self.meter)

    def _read(self, refresh: tuple[int, ...], budget: Budget, *, keep: bool) -> dict[str, Any]:
        kept = False
        try:
            dps = self._reader.read(refresh, budget)
            kept = keep
        except MeterError as error:
            self._cooling.failed(error)
            raise
        finally:
            if not kept:
                self._hang_up()
        self._cooling.succeeded()
        return dps

    def _hang_up(self) -> None:
        self._reader.hang_up()
        self._guard.release()

    def _tidy(self) -> None:
        """Close a dropped link, unless a read is under way: its end calls this again."""
        if self._dropped and self._turn.acquire(blocking=False):
            self._hang_up()
            self._turn.release()
