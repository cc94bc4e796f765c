"""Redis: what the processes of a service share through it."""

import time
from collections.abc import Callable
from contextlib import closing

from celery import Celery

from esquirell.beat.scheduler import Scheduler
from esquirell.beat.snapshot import ScheduleSnapshots
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.broker.celery_config import QUEUES
from esquirell.broker.connection import Client, PasswordRefusedError, connect
from esquirell.broker.diagnosis import RedisFacts, examine, probe, slowness
from esquirell.broker.lease import LEASE_S, Lease, Owners
from esquirell.broker.outage import Outage
from esquirell.broker.processes import Orders, Presence, RememberedDirectories
from esquirell.broker.queue import TASKS
from esquirell.broker.relay import Relay
from esquirell.broker.tasks import HeldTasks, RevokedTasks
from esquirell.domain.errors import UnavailableError
from esquirell.runtime.connections import address_of
from esquirell.services.patience import Lane
from esquirell.settings import Settings

__all__ = ["LEASE_S", "QUEUES", "TASKS", "Lease", "PasswordRefusedError", "RedisFacts", "Shared"]

# The watchdog waits for it, which systemd hears from twice a minute.
TRIAL_S = 10.0


class Shared:
    """What is built on one Redis, for the process called `instance`.

    `client` is for all but Celery's own use.
    """

    def __init__(self, settings: Settings, app: Celery, instance: str) -> None:
        self._app = app
        self._address = address_of(settings)
        self._trial = Lane("Redis, or the server of its name,", TRIAL_S)
        self.client: Client = connect(self._address)
        # RedBeat takes it from here: made by us, no dump of settings has a password.
        app.redbeat_redis = self.client  # type: ignore[attr-defined]
        self.snapshots = ScheduleSnapshots(self.client)
        self.timetable = RedBeatTimetable(app, self.snapshots, settings.timezone)
        self.presence = Presence(self.client, instance)
        self.state_directories = RememberedDirectories(self.client)
        self.revoked = RevokedTasks(self.client)
        self.orders = Orders(self.client)
        self.outage = Outage(self.client)
        self.held = HeldTasks(self.client)
        self.relay = Relay(self.client, instance)
        self.owners = Owners(self.client, instance)

    def examine(self) -> RedisFacts:
        """Return the facts about this Redis. Raises UnavailableError."""
        return examine(self.client)

    def probe(self) -> None:
        """Test what the service needs from Redis. Raises UnavailableError with Redis's message."""
        probe(self.client)

    def trouble(self) -> str:
        """Say how Redis fails a new connection, or how slow it is; empty if all is well.

        Its name is looked up as well, which may take longer than all else: it waits no longer than
        `TRIAL_S` seconds.
        """
        began = time.monotonic()
        try:
            self._trial.run(self._try)
        except UnavailableError as error:
            return str(error)
        return slowness(time.monotonic() - began)

    def _try(self) -> None:
        with closing(connect(self._address)) as client:
            probe(client)

    def lease(self, role: str, owner: str, *, quiet: bool = False) -> Lease:
        """Build the lease of a role, of whose processes only one is active.

        Unless `quiet`, it logs which one that is.
        """
        return Lease(self.client, role, owner, quiet=quiet)

    def scheduler(self, sync: Callable[[], None], owner: str) -> Scheduler:
        """Build a scheduler; of several, the one whose owner holds the lease is active."""
        return Scheduler(self._app, self.snapshots, sync, self.lease("beat", owner), self.outage)
