"""Tokens for programs: each is shown once and stored as a hash.

Short commands load this module, too: it must not need Tornado.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from esquirell.domain.errors import CommandError, DiskError
from esquirell.domain.reading import iso
from esquirell.domain.record import record
from esquirell.settings import private_files
from esquirell.settings.state_files import PAGE_TOKENS, StateDirectory

PREFIX = "esq_"
TOKEN_BYTES = 32
LONGEST_NAME = 64
MOST = 100


@record
class Token:
    """The stored part of a token: SHA-256 of its random text, and its rights."""

    name: str
    sha256: str
    write: bool
    created_at: str


class Tokens:
    """The tokens of this machine, read anew when their file changed. Raises DiskError.

    While the state directory is gone the last ones count, and none is added or removed.
    """

    def __init__(self, directory: StateDirectory, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._file = directory.folder / PAGE_TOKENS
        self._clock = clock
        self._read_at: tuple[int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def all(self) -> list[Token]:
        """Return all tokens, by name."""
        self._refresh()
        return sorted(self._tokens.values(), key=lambda token: token.name)

    def add(self, name: str, *, write: bool) -> str:
        """Create a token; return its text, which is not stored.

        Raises CommandError for an invalid name.
        """
        self._refresh()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise CommandError(
                "invalid_payload", "a token's name must have 1 to 64 printable characters"
            )
        if name in self._tokens:
            raise CommandError("already_exists", f"a token {name!r} exists already")
        if len(self._tokens) >= MOST:
            raise CommandError("invalid_payload", f"there are {MOST} tokens: remove one first")
        text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        self._save(self._tokens | {name: Token(name, _digest(text), write, iso(self._clock()))})
        return text

    def remove(self, name: str) -> None:
        """Remove a token. Raises CommandError if there is none of this name."""
        self._refresh()
        if name not in self._tokens:
            known = ", ".join(sorted(self._tokens)) or "none"
            raise CommandError("invalid_payload", f"there is no token {name!r}; known: {known}")
        self._save({key: token for key, token in self._tokens.items() if key != name})

    def find(self, text: str) -> Token | None:
        """Return the token with this text, if there is one."""
        self._refresh()
        digest = _digest(text)
        return next((token for token in self._tokens.values() if token.sha256 == digest), None)

    def _refresh(self) -> None:
        if not self._directory.is_there():
            return
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._tokens, self._read_at = {}, None
            return
        except OSError as error:
            raise DiskError(f"{self._file} can't be read: {error.strerror}") from error
        version = (found.st_mtime_ns, found.st_ino)
        if version != self._read_at:
            self._tokens, self._read_at = self._load(), version

    def _load(self) -> dict[str, Token]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {one["name"]: Token(**one) for one in kept}
        except (IsADirectoryError, ValueError, TypeError, KeyError):
            private_files.set_aside(self._file, "create all tokens again")
            return {}
        except OSError as error:
            raise DiskError(f"{self._file} can't be read: {error.strerror}") from error

    def _save(self, tokens: dict[str, Token]) -> None:
        self._directory.check()
        text = json.dumps([asdict(token) for token in tokens.values()], indent=2)
        private_files.write({self._file: f"{text}\n"})
        self._tokens, self._read_at = tokens, None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
