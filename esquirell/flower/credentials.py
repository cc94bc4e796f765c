"""Who may see Flower: the configured user, with a configured or generated password."""

from dataclasses import field
from pathlib import Path

from esquirell.domain.record import record
from esquirell.settings import Settings, private_files

PASSWORD_BYTES = 18


@record
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
    kept, is_new = private_files.kept_secret(file, PASSWORD_BYTES)
    return Credentials(user, kept, file if is_new else None)
