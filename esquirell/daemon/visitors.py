"""Access to a web page: under which host names, and how many wrong passwords per address."""

import ipaddress
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from math import ceil
from urllib.parse import urlsplit

WRONG_AT_MOST = 5
WITHIN_S = 60.0
# With more addresses than this, the oldest are forgotten and memory does not grow.
ADDRESSES = 1000
# A household or a provider's customer has a whole network of this size.
IPV6_NETWORK = 64


class WrongAttempts:
    """Counts wrong passwords and tokens by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """Record a wrong password or token from an address."""
        key = _key(address)
        self._wrong.setdefault(key, deque(maxlen=WRONG_AT_MOST)).append(self._clock())
        self._wrong.move_to_end(key)
        while len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)

    def wait_s(self, address: str) -> int:
        """Return for how many seconds an address has to wait; 0 when it may try now."""
        wrong = self._wrong.get(_key(address))
        if wrong is None or len(wrong) < WRONG_AT_MOST:
            return 0
        return max(0, ceil(wrong[0] + WITHIN_S - self._clock()))


def _key(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - the version of the protocol
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))


class KnownHosts:
    """The host names of a page on this machine: IP addresses, its own, `names`.

    A foreign site whose name is pointed here (DNS rebinding) uses that name.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {*_own_names(), *names}

    def knows(self, host: str) -> bool:
        """Return whether a Host header, with or without port, names this machine."""
        try:
            name = (urlsplit(f"//{host.strip()}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or _is_address(name)


def _own_names() -> Iterable[str]:
    host = socket.gethostname().lower().rstrip(".")
    short = host.partition(".")[0]
    return ("localhost", host, short, f"{short}.local")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
