"""The files that come with the program: profiles and layouts."""

from importlib.resources import files

from esquirell.domain.errors import InstallationError

_PACKAGE = "esquirell.profiles"


def names(ending: str) -> tuple[str, ...]:
    """Return the names of the files that end so, without that ending, sorted."""
    found = sorted(entry.name for entry in files(_PACKAGE).iterdir())
    return tuple(name.removesuffix(ending) for name in found if name.endswith(ending))


def text(name: str) -> str:
    """Return what a file holds. Raises InstallationError when it is missing or unreadable."""
    try:
        return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> InstallationError:
    """Return the error that names a file and what is wrong with it."""
    reason = (isinstance(error, OSError) and error.strerror) or error
    return InstallationError(f"{_PACKAGE}/{name}: {reason}")
