"""What a bridge remembers between runs, in a small file in the state directory."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esquirell import whole_file
from esquirell.domain.record import record

log = logging.getLogger(__name__)

# So many devices may be removed while Home Assistant is down.
REMOVED_LIMIT = 40


@record
class Place:
    """Where a bridge publishes."""

    base_topic: str
    discovery_prefix: str


@dataclass(slots=True)
class Memory:
    """Where the bridge last published, and which announcements were removed.

    Home Assistant forgets a removed device only if it learns so while it runs: `removed` keeps the
    announcements, by topic, until it has been seen to start. Without a file, or while it can't be
    written, all this lasts as long as the process.
    """

    file: Path | None = None
    published: Place | None = None
    removed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the file, if there is one."""
        try:
            if self.file:
                self._take(json.loads(self.file.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            log.warning(
                "%s can't be read (%s): what was published under another base topic, or removed "
                "while Home Assistant was down, is forgotten",
                self.file,
                error,
            )

    def _take(self, content: Any) -> None:  # noqa: ANN401 - JSON is anything
        place = Place(**{key: str(value) for key, value in content["published"].items()})
        self.removed = {str(key): str(value) for key, value in content["removed"].items()}
        self.published = place

    def note_published(self, place: Place) -> None:
        """Record where the bridge publishes from now on."""
        if place != self.published:
            self.published = place
            self._write()

    def note_removed(self, topic: str, announcement: bytes) -> None:
        self.removed[topic] = announcement.decode(errors="replace")
        while len(self.removed) > REMOVED_LIMIT:
            self.removed.pop(next(iter(self.removed)))
        self._write()

    def note_announced(self, topic: str) -> None:
        """Record that a device is announced again."""
        if self.removed.pop(topic, None) is not None:
            self._write()

    def forget_removed(self) -> None:
        """Forget the removed announcements, once Home Assistant knows about them."""
        self.removed.clear()
        self._write()

    def forget_everything(self) -> None:
        """Remove the file, as nothing of ours is left on the broker."""
        self.published = None
        self.removed.clear()
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _write(self) -> None:
        if self.file is None:
            return
        published = self.published
        place = {
            "base_topic": published.base_topic if published else "",
            "discovery_prefix": published.discovery_prefix if published else "",
        }
        text = json.dumps({"published": place, "removed": self.removed}, ensure_ascii=False)
        try:
            whole_file.replace(self.file, text.encode())
        except OSError as error:
            log.debug("%s can't be written: %s", self.file, error)
