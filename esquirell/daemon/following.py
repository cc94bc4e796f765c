"""Meters that are added, changed or removed while a process runs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import Part, RunOnce
from esquirell.domain.errors import ConfigError
from esquirell.runtime.root import Runtime
from esquirell.settings.added_meters import version_of
from esquirell.settings.state_files import is_there, missing_state_dir

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


def following_meters(runtime: Runtime) -> Part:
    """Return the part that checks whether the files of the meters have changed."""

    @contextmanager
    def make() -> Iterator[RunOnce]:
        follower = Follower(runtime)
        yield follower.run_once

    return Part("meters", make)


class Follower:
    """Applies each change once; one that does not load is logged, and the next is awaited."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._seen = version_of(runtime.settings.state_dir)
        self._was_gone = False

    def run_once(self) -> float:
        """Check once; return the seconds until the next check."""
        if self._is_gone():
            return LOOK_EVERY_S
        now = version_of(self._runtime.settings.state_dir)
        if now != self._seen:
            self._seen = now
            self._take_over()
        return LOOK_EVERY_S

    def _is_gone(self) -> bool:
        """Whether the state directory is gone, as with its disk: the meters stay as they were."""
        folder = self._runtime.settings.state_dir
        is_gone = not is_there(folder)
        if is_gone and not self._was_gone:
            log.error("%s", missing_state_dir(folder))
        elif self._was_gone and not is_gone:
            log.info("the state directory %s is back", folder)
        self._was_gone = is_gone
        return is_gone

    def _take_over(self) -> None:
        try:
            self._runtime.reload()
        except ConfigError as error:
            log.error("the meters stay as they were: %s", error)  # noqa: TRY400 - one sentence
            return
        log.info("the meters were reloaded: %d", len(self._runtime.meters()))
