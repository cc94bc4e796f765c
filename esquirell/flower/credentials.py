"""Who may see Flower: the configured user, with a configured or generated password."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings

PASSWORD_BYTES = 18


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password; `made_up` names the file of a generated one that is not shown yet."""

    user: str
    password: str = field(repr=False)
    made_up: Path | None = None

    @property
    def pair(self) -> str:
        """Return them in the form of HTTP Basic (RFC 7617)."""
        return f"{self.user}:{self.password}"


def credentials(settings: Settings) -> Credentials:
    """Return the configured password, else the kept one, else generate one and keep it.

    Raises ConfigError when the file that keeps it can't be used.
    """
    user, configured = settings.flower.user, settings.flower.password.get_secret_value()
    if configured:
        return Credentials(user, configured)
    file = settings.state_dir / "flower-password"
    try:
        if made_up := _make_up(file):
            return Credentials(user, made_up, file)
        kept = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be used ({error}): set password in [flower]") from None
    if not kept:
        raise ConfigError(f"{file} is empty: remove it to have a new password generated")
    return Credentials(user, kept)


def _make_up(file: Path) -> str | None:
    """Generate a password and keep it for this user only; None when there is one."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w") as opened:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        opened.write(f"{password}\n")
    return password
