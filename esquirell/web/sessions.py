"""Sessions of browsers: a signed cookie, and a list of those that were ended before their time."""

import hashlib
import json
import logging
import secrets
import time
from contextlib import suppress

from tornado.web import create_signed_value, decode_signed_value

from esquirell.domain.errors import DiskError
from esquirell.settings import private_files
from esquirell.settings.state_files import PAGE_ENDED_SESSIONS, StateDirectory
from esquirell.web.credentials import Credentials

log = logging.getLogger(__name__)

COOKIE = "esquirell_session"
DAYS = 30
_DAY_S = 86_400.0


class Sessions:
    """Signs sessions; one ends after a month without a visit, by log-out, or with the password."""

    def __init__(self, credentials: Credentials, directory: StateDirectory) -> None:
        self._credentials = credentials
        self._directory = directory
        self._file = directory.folder / PAGE_ENDED_SESSIONS
        self._ended: dict[str, float] = self._load()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        return self._sign(secrets.token_urlsafe(16))

    def check(self, cookie: str) -> str | None:
        """Return the id of the session that a cookie stands for, if it lasts."""
        key = self._credentials.signing_key()
        value = decode_signed_value(key, COOKIE, cookie, max_age_days=DAYS)
        if value is None:
            return None
        session = value.decode()
        return None if _digest(session) in self._ended else session

    def renew(self, session: str) -> str:
        """Return a cookie that lets a session last another month."""
        return self._sign(session)

    def end(self, session: str) -> None:
        """End a session: its cookie is refused from now on."""
        now = time.time()
        self._ended = {key: until for key, until in self._ended.items() if until > now}
        self._ended[_digest(session)] = now + DAYS * _DAY_S
        if problem := self._keep():
            log.warning("a session that ended may be accepted after a restart: %s", problem)

    def _keep(self) -> str | None:
        """Write the list of sessions that were ended; return why that is impossible."""
        if problem := self._directory.problem():
            return problem
        try:
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
