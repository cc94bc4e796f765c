"""Orders to the service itself: change the log level, restart."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol, get_args

from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.requests import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from esquirell.domain.process import Order

log = logging.getLogger(__name__)

LEVEL, RESTART = "log_level", "restart"
# So that a runaway automation or a repeated message can't keep it from measuring.
RESTART_AGAIN_S = 60.0


class Orders(Protocol):
    """Sends orders to all processes of the service; both raise UnavailableError."""

    def give(self, kind: str, value: str = "") -> Order:
        """Send an order to all processes."""

    def newest(self, *kinds: str) -> Mapping[str, Order]:
        """Return the newest order of each kind that has one."""


class Control:
    """Changes the log level of the service, and restarts it, in all of its processes.

    `set_level` changes it in this process; `level_changed` is called afterwards. `follow` returns
    whether a restart is due; the process carries it out.
    """

    def __init__(
        self,
        orders: Orders,
        level_changed: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._level_changed = level_changed
        self._monotonic = monotonic
        self._started_at = monotonic()
        # Orders already carried out, or sent before this process first looked.
        self._seen: dict[str, str] | None = None
        self._asked_here = False
        self.set_level: Callable[[str], None] = lambda _: None
        self.restarting = False

    def change_level(self, level: str) -> None:
        """Change the log level until the service restarts or reads its configuration again."""
        self._give(LEVEL, level)
        self._change_level(level)

    def restart(self) -> None:
        """Restart the service within seconds. Raises CommandError shortly after a start."""
        up_s = self._monotonic() - self._started_at
        if up_s < RESTART_AGAIN_S:
            left_s = RESTART_AGAIN_S - up_s
            sentence = f"the service started {up_s:.0f} s ago: try again in {left_s:.0f} s"
            raise CommandError("unavailable", sentence)
        self._give(RESTART)
        self._asked_here = True

    def follow(self) -> bool:
        """Carry out orders sent through other processes; return whether to restart now."""
        try:
            found = self._orders.newest(LEVEL, RESTART)
        except UnavailableError as error:
            log.debug("orders can't be looked up: %s", error)
            found = {}
        else:
            self._note_earlier(found)
        new = {kind: order for kind, order in found.items() if self._is_new(kind, order)}
        if LEVEL in new and new[LEVEL].value in get_args(Level):
            self._change_level(new[LEVEL].value)
        if self.restarting or not (RESTART in new or self._asked_here):
            return False
        self.restarting = True
        log.info("the service restarts on request")
        return True

    def _change_level(self, level: str) -> None:
        log.info("the log level was changed to %s on request", level)
        self.set_level(level)
        self._level_changed()

    def _give(self, kind: str, value: str = "") -> None:
        """Send an order to the other processes; without Redis only this one acts."""
        try:
            self._note_earlier(self._orders.newest(LEVEL, RESTART))
            order = self._orders.give(kind, value)
        except UnavailableError as error:
            log.warning("only this process follows (%s): %s", kind, error)
        else:
            self._seen = (self._seen or {}) | {kind: order.id}

    def _note_earlier(self, found: Mapping[str, Order]) -> None:
        """Remember orders from before this process first looked."""
        if self._seen is None:
            self._seen = {kind: order.id for kind, order in found.items()}

    def _is_new(self, kind: str, order: Order) -> bool:
        seen = self._seen or {}
        is_new = seen.get(kind) != order.id
        self._seen = seen | {kind: order.id}
        return is_new
