"""In a Home Assistant app: a broker that is installed later, or whose login changes, is used."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import Part, RunOnce
from esquirell.domain.errors import CommandError, ConfigError, UnavailableError
from esquirell.runtime.app_broker import learn_broker
from esquirell.runtime.root import Runtime
from esquirell.settings import load
from esquirell.settings.home_assistant_app import state_dir_of

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


def following_broker(runtime: Runtime) -> tuple[Part, ...]:
    """Return the part that asks the Supervisor while there is no connection; outside of it none."""
    if state_dir_of(os.environ) is None:
        return ()
    follower = Follower(runtime)

    @contextmanager
    def make() -> Iterator[RunOnce]:
        yield follower.run_once

    return (Part("broker of Home Assistant", make),)


class Follower:
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
        return LOOK_EVERY_S

    def _compare(self) -> None:
        if load().mqtt != self._in_use:
            self._runtime.control.restart()
            self._is_done = True
            log.info("Home Assistant names another MQTT broker or login: restarting")
