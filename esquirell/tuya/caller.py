"""Opens, keeps and closes the connection to the device of one meter."""

import logging
import threading
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.tuya.conversation import Conversation
from esquirell.tuya.errors import AttemptError, stopped
from esquirell.tuya.guard import Guard
from esquirell.tuya.limits import Budget, Limits
from esquirell.tuya.line import Line

log = logging.getLogger(__name__)

DRAIN_S = 0.5
LISTEN_S = 0.5


class Caller:
    """Calls one device; used by one thread at a time, which holds the guard."""

    def __init__(self, meter: Meter, guard: Guard, limits: Limits, stop: threading.Event) -> None:
        self._meter = meter
        self._guard = guard
        self._limits = limits
        self._stop = stop
        self._line: Line | None = None
        self._conversation: Conversation | None = None
        self._known: tuple[str, ...] = ()

    def ask_again(self, refresh: tuple[int, ...], budget: Budget) -> dict[str, Any] | None:
        """Ask over the kept connection; None when there is none or it proves to be dead."""
        conversation = self._conversation
        if conversation is None:
            return None
        self._guard.await_gap(self._limits.gap_s, self._stop)
        try:
            conversation.drain(budget.until(DRAIN_S))
            return conversation.ask(refresh, self._limits, budget, self._limits.answer_s)
        except AttemptError:
            self.hang_up()
            self._check_stop()
            log.debug("%s: the kept connection is dead, opening another", self._meter.name)
            return None
        finally:
            self._guard.touched()

    def ask_anew(
        self, version: str, refresh: tuple[int, ...], budget: Budget, answer_s: float
    ) -> dict[str, Any]:
        """Connect and ask in one protocol; the connection stays open when the answer came.

        Raises AttemptError; the next call, or hanging up, closes what is left then.
        """
        self.hang_up()
        self._guard.await_gap(self._limits.gap_s, self._stop)
        try:
            conversation = self._connect(version, budget, answer_s)
            dps = conversation.ask(refresh, self._limits, budget, answer_s)
        except AttemptError:
            self._check_stop()
            raise
        finally:
            self._guard.touched()
        self._conversation, self._known = conversation, conversation.known
        return dps

    def hang_up(self) -> None:
        """Close the connection; none is fine."""
        self._conversation = None
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def abort(self) -> None:
        """Break off, from another thread, what the device is waited for."""
        line = self._line
        if line is not None:
            line.abort()

    def is_held(self, budget: Budget) -> bool:
        """Tell whether the device closes a connection even when nothing is said on it.

        Many devices do that while they serve another client.
        """
        self.hang_up()
        self._guard.await_gap(self._limits.gap_s, self._stop)
        line = self._line = Line()
        try:
            self._dial(line, budget)
            line.allow(budget.until(LISTEN_S))
            line.recv(1)
        except OSError:
            self._check_stop()
        finally:
            self._guard.touched()
        return line.ended

    def _connect(self, version: str, budget: Budget, answer_s: float) -> Conversation:
        line = self._line = Line()
        conversation = Conversation(self._meter, version, line, self._known)
        try:
            self._dial(line, budget)
        except OSError as error:
            raise AttemptError(version, "connect", detail=error.strerror or str(error)) from error
        conversation.agree(budget.until(answer_s))
        return conversation

    def _dial(self, line: Line, budget: Budget) -> None:
        # Whoever stops us aborts the lines that he finds after that; so look only now.
        self._check_stop()
        deadline = budget.until(self._limits.connect_s)
        line.connect(self._meter.address, self._meter.port, deadline)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise stopped(self._meter)
