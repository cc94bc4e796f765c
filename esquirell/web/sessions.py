"""Who may see the page: its password, and signed sessions."""

import hashlib
import hmac
import json
import logging
import secrets
import time
from contextlib import suppress

from tornado.web import create_signed_value, decode_signed_value

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.settings import Settings, private_files
from esquirell.settings.state_files import (
    PAGE_ENDED_SESSIONS,
    PAGE_KEY,
    PAGE_PASSWORD,
    StateDirectory,
)
from esquirell.settings.values import SHORTEST_PAGE_PASSWORD

log = logging.getLogger(__name__)

COOKIE = "esquirell_session"
DAYS = 30
_DAY_S = 86_400.0
PASSWORD_BYTES = 12
KEY_BYTES = 32


class Credentials:
    """Check passwords against the configured one, else the one in the state directory.

    A password that was changed on the command line counts at once. While the state directory is
    gone the last one does, and nothing is written: on another disk in its place a password would
    be out of reach when the right one is back. Raises DiskError when the files can't be used.
    """

    def __init__(self, settings: Settings, directory: StateDirectory) -> None:
        self._configured = settings.web.password.get_secret_value()
        self._directory = directory
        self.file = directory.folder / PAGE_PASSWORD
        self._last = ""
        self._directory.check()
        self._key, _ = private_files.kept_secret(directory.folder / PAGE_KEY, KEY_BYTES)

    @property
    def password(self) -> str:
        """The password in force; created if there is none yet."""
        if self._configured:
            return self._configured
        if not self._last or self._directory.is_there():
            self._directory.check()
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
        self._directory.check()
        private_files.write({self.file: f"{password}\n"})


class Sessions:
    """Signs sessions; they end after a month without a visit, by logout, or with the password."""

    def __init__(self, credentials: Credentials, directory: StateDirectory) -> None:
        self._credentials = credentials
        self._directory = directory
        self._file = directory.folder / PAGE_ENDED_SESSIONS
        self._ended: dict[str, float] = self._load()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        return self._sign(secrets.token_urlsafe(16))

    def check(self, cookie: str) -> str | None:
        """Return the id of the session of a cookie, if it is valid."""
        key = self._credentials.signing_key()
        value = decode_signed_value(key, COOKIE, cookie, max_age_days=DAYS)
        if value is None:
            return None
        session = value.decode()
        return None if _digest(session) in self._ended else session

    def renew(self, session: str) -> str:
        """Return a cookie that extends a session by a month."""
        return self._sign(session)

    def token(self, session: str) -> bytes:
        """Return the XSRF token of a session."""
        key = self._credentials.signing_key().encode()
        return hmac.digest(key, f"xsrf {session}".encode(), "sha256")

    def end(self, session: str) -> None:
        """End a session: its cookie is refused from now on."""
        now = time.time()
        self._ended = {key: until for key, until in self._ended.items() if until > now}
        self._ended[_digest(session)] = now + DAYS * _DAY_S
        if problem := self._keep():
            log.warning("a session that ended may be accepted after a restart: %s", problem)

    def _keep(self) -> str | None:
        """Write the list of sessions that were ended; return why that is impossible."""
        try:
            self._directory.check()
            private_files.write({self._file: json.dumps(self._ended)})
        except DiskError as error:
            return str(error)
        return None

    def _sign(self, session: str) -> str:
        return create_signed_value(self._credentials.signing_key(), COOKIE, session).decode()

    def _load(self) -> dict[str, float]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {str(key): float(until) for key, until in kept.items()}
        except FileNotFoundError:
            return {}
        except (IsADirectoryError, ValueError, AttributeError, TypeError):
            with suppress(DiskError):
                private_files.set_aside(self._file, "sessions that were ended may be accepted")
        except OSError as error:
            log.warning("%s can't be read: %s", self._file, error.strerror)
        return {}


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
