"""QR codes that browsers show, until the app has confirmed them: in memory, for five minutes."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import AppLogin

# As long as Tuya's QR codes are valid.
KEEP_S = 300.0
BROWSERS = 16


class AppLogins:
    """The login that each browser waits for, by its session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, tuple[float, AppLogin]] = OrderedDict()

    def begin(self, session: str, login: "AppLogin") -> None:
        """Keep the login of a browser, in place of an earlier one."""
        with self._lock:
            self._begun.pop(session, None)
            self._begun[session] = (self._clock() + KEEP_S, login)
            while len(self._begun) > BROWSERS:
                self._begun.popitem(last=False)

    def of(self, session: str) -> "AppLogin | None":
        """Return the login of a browser; None if there is none, or it has expired."""
        with self._lock:
            until, login = self._begun.get(session, (0.0, None))
            if until >= self._clock():
                return login
            self._begun.pop(session, None)
            return None

    def take(self, session: str) -> "AppLogin | None":
        """Return the login of a browser as `of` does, and forget it."""
        login = self.of(session)
        with self._lock:
            self._begun.pop(session, None)
        return login
