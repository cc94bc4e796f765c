"""In a Home Assistant app: a broker that is installed later, or whose login changes, is used."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import Part, Turn
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
    in_use = runtime.settings.mqtt

    def turn() -> float:
        if runtime.mqtt.connection.trouble:
            try:
                learn_broker(os.environ)
                if load().mqtt != in_use:
                    log.info("Home Assistant names another MQTT broker or login: restarting")
                    runtime.control.restart()
            except (UnavailableError, ConfigError, CommandError) as error:
                log.debug("the broker stays as it was: %s", error)
        return LOOK_EVERY_S

    @contextmanager
    def make() -> Iterator[Turn]:
        yield turn

    return (Part("broker of Home Assistant", make),)
