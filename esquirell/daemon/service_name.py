"""The name of a service, which it keeps over restarts."""

import logging
import uuid
from contextlib import suppress
from pathlib import Path

from esquirell.domain.errors import ConfigError
from esquirell.settings import private_files

log = logging.getLogger(__name__)


def persistent_name(file: Path) -> str:
    """Return the name of this service, generated at its first start and kept in `file`."""
    name = uuid.uuid4().hex
    try:
        return uuid.UUID(file.read_text()).hex
    except FileNotFoundError:
        pass
    except (IsADirectoryError, ValueError):
        # As after a power cut.
        with suppress(ConfigError):
            private_files.set_aside(file, "this service has a new name")
    except OSError as error:
        log.warning("%s can't be read: %s", file, error.strerror)
        return name
    try:
        private_files.write({file: name})
    except ConfigError as error:
        # On a full disk: with another name it waits for its lease after the next start.
        log.warning("%s", error)
    return name
