"""The page's password, and the key that signs its sessions.

Both lie in the state directory. A change of the password changes the key, so that every session
ends. This module is loaded by short commands, too: it must not need Tornado.
"""

import hashlib
import hmac

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.settings import Settings, private_files
from esquirell.settings.state_files import PAGE_KEY, PAGE_PASSWORD, StateDirectory
from esquirell.settings.values import SHORTEST_PAGE_PASSWORD

PASSWORD_BYTES = 12
KEY_BYTES = 32


class Credentials:
    """Who may log in: whoever has the configured password, else the one in the state directory.

    A password that was changed on the command line counts at once. While the state directory is
    gone the last one does, and nothing is written: on another disk in its place a password would
    be out of reach when the right one is back. Raises DiskError when the files can't be used.
    """

    def __init__(self, settings: Settings, directory: StateDirectory) -> None:
        self._configured = settings.web.password.get_secret_value()
        self._directory = directory
        self.file = directory.folder / PAGE_PASSWORD
        self._last = ""
        self._refuse_another_disk()
        self._key, _ = private_files.kept_secret(directory.folder / PAGE_KEY, KEY_BYTES)

    @property
    def password(self) -> str:
        """The password in force; created if there is none yet."""
        if self._configured:
            return self._configured
        if not self._last or self._directory.is_there():
            self._refuse_another_disk()
            self._last, _ = private_files.kept_secret(self.file, PASSWORD_BYTES)
        return self._last

    def accepts(self, password: str) -> bool:
        """Whether this is the password; compared in constant time."""
        return hmac.compare_digest(password.encode(), self.password.encode())

    def signing_key(self) -> str:
        """Return the key that signs sessions: another one after each change of the password."""
        return hmac.new(self._key.encode(), self.password.encode(), hashlib.sha256).hexdigest()

    def change(self, password: str) -> None:
        """Set another password; every session ends. Raises ConfigError."""
        if self._configured:
            raise ConfigError(
                "the page's password is set in the configuration: change password in [web] there"
            )
        if len(password) < SHORTEST_PAGE_PASSWORD:
            raise ConfigError(
                f"the page's password must have at least {SHORTEST_PAGE_PASSWORD} characters"
            )
        if password != password.strip() or not password.isprintable():
            raise ConfigError("the page's password may not hold line breaks or begin with a space")
        self._refuse_another_disk()
        private_files.write({self.file: f"{password}\n"})

    def _refuse_another_disk(self) -> None:
        if problem := self._directory.problem():
            raise DiskError(problem)
