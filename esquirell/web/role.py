"""The page in a process: with the other roles, or alone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from esquirell.daemon.following import following_meters
from esquirell.daemon.parts import RunOnce, ServicePart
from esquirell.daemon.roles import Role
from esquirell.runtime.mqtt import published
from esquirell.runtime.root import Runtime
from esquirell.web.live import Live
from esquirell.web.server import web

log = logging.getLogger(__name__)

WAIT_S = 1.0


def beside(runtime: Runtime, role: Role, password_command: str) -> Role:
    """Return a polling role with the page added: its values are live from the polls.

    The login form names `password_command`, which shows the password.
    """
    live = Live()
    runtime.mqtt.publisher.on_reading(live.take)
    runtime.mqtt.publisher.on_event(live.note)
    return replace(role, parts=(*role.parts, web(runtime, live, password_command)))


def alone(runtime: Runtime, password_command: str) -> Role:
    """Return the page as a role: live from retained MQTT messages, or else from the database."""
    if not runtime.settings.web.port:
        log.warning("the page is switched off: set port under [web]")
        return Role(("web",))
    live = Live(refresh_s=5.0)
    page = web(runtime, live, password_command)
    return Role(("web",), (page, _listening(runtime, live), following_meters(runtime)))


def _listening(runtime: Runtime, live: Live) -> ServicePart:
    @contextmanager
    def make() -> Iterator[RunOnce]:
        with published(runtime.settings, live.take, live.note):
            yield lambda: WAIT_S

    return ServicePart("readings", make)
