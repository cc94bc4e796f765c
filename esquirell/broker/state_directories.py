"""Where this machine's state was at an earlier start: Redis outlasts an unmounted disk."""

import socket

from esquirell.broker.connection import Client, reaching_redis

PREFIX = "esquirell:places:"


class RememberedDirectories:
    """Remembers the state directories of this machine. All methods raise UnavailableError."""

    def __init__(self, client: Client, host: str = "") -> None:
        self._client = client
        self._key = f"{PREFIX}{host or socket.gethostname()}"

    def knows(self, folder: str) -> bool:
        """Return whether a service on this machine has had its state there."""
        with reaching_redis():
            return bool(self._client.sismember(self._key, folder))

    def note(self, folder: str) -> None:
        """Remember a directory."""
        with reaching_redis():
            self._client.sadd(self._key, folder)
