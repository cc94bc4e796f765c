"""What changes while a process runs: files of meters, and the broker of Home Assistant."""

import logging
import os

from esquirell.daemon.parts import ServicePart, repeating
from esquirell.domain.errors import CommandError, ConfigError, UnavailableError
from esquirell.runtime.connections import learn_broker
from esquirell.runtime.root import Runtime
from esquirell.settings import load
from esquirell.settings.added_meters import version_of
from esquirell.settings.home_assistant_app import state_dir_of

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
ASK_EVERY_S = 60.0


def following_meters(runtime: Runtime) -> ServicePart:
    """Return the part that checks whether the files of the meters have changed."""
    return repeating("meters", lambda: Follower(runtime).run_once)


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
        problem = self._runtime.storage.directory.problem()
        is_gone = problem is not None
        if is_gone and not self._was_gone:
            log.error("%s", problem)
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


def following_broker(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Return the part that asks the Supervisor while there is no connection; outside of it none."""
    if state_dir_of(os.environ) is None:
        return ()
    follower = _BrokerFollower(runtime)
    return (repeating("broker of Home Assistant", lambda: follower.run_once),)


class _BrokerFollower:
    """Has the service restart, once, when the Supervisor names another broker or login."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._in_use = runtime.settings.mqtt
        self._is_done = False

    def run_once(self) -> float:
        """Ask if there is no connection; return the seconds until the next look."""
        if self._runtime.mqtt.connection.trouble and not self._is_done:
            try:
                learn_broker(os.environ)
                self._compare()
            except (UnavailableError, ConfigError, CommandError) as error:
                log.debug("the broker stays as it was: %s", error)
        return ASK_EVERY_S

    def _compare(self) -> None:
        if load().mqtt != self._in_use:
            self._runtime.control.restart()
            self._is_done = True
            log.info("Home Assistant names another MQTT broker or login: restarting")
