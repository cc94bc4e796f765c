"""What lies in the state directory beside the database, by its names there."""

from pathlib import Path

PAGE_PASSWORD = "web-password"  # noqa: S105 - the name of a file
PAGE_KEY = "web-key"
PAGE_TOKENS = "web-tokens.json"
PAGE_ENDED_SESSIONS = "web-ended-sessions.json"

# What nobody could make anew: a backup holds it.
OF_THE_PAGE = (PAGE_PASSWORD, PAGE_KEY, PAGE_TOKENS, PAGE_ENDED_SESSIONS)
METERS = "meters"
DESCRIPTIONS = "devices"
FOLDERS = (METERS, DESCRIPTIONS)


def present(state_dir: Path) -> dict[str, Path]:
    """Return the files to keep that are there, by their names below the state directory."""
    single = [state_dir / name for name in OF_THE_PAGE]
    nested = [file for name in FOLDERS for file in sorted((state_dir / name).glob("*"))]
    # A hidden one is being written just now.
    found = [one for one in (*single, *nested) if one.is_file() and not one.name.startswith(".")]
    return {str(file.relative_to(state_dir)): file for file in found}
