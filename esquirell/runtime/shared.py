"""Redis: what the processes of a service share through it."""

from collections.abc import Callable
from functools import cached_property

from celery import Celery

from esquirell.beat.scheduler import Scheduler
from esquirell.beat.snapshot import ScheduleSnapshots
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.broker.celery_config import QUEUES
from esquirell.broker.connection import Client, PasswordRefusedError, connect
from esquirell.broker.diagnosis import RedisFacts, examine, probe
from esquirell.broker.held import HeldTasks, RevokedTasks
from esquirell.broker.lease import LEASE_S, Lease
from esquirell.broker.orders import Orders
from esquirell.broker.outage import Outage
from esquirell.broker.owners import Owners
from esquirell.broker.presence import Presence
from esquirell.broker.relay import Relay
from esquirell.broker.state_directories import RememberedDirectories
from esquirell.runtime.connections import address_of
from esquirell.settings import Settings

__all__ = ["LEASE_S", "QUEUES", "Lease", "PasswordRefusedError", "RedisFacts", "Shared"]


class Shared:
    """What is built on one Redis, for the process called `instance`; built on first use.

    `client` is for all but Celery's own use.
    """

    def __init__(self, settings: Settings, app: Celery, instance: str) -> None:
        self._settings = settings
        self._app = app
        self._instance = instance
        self.client: Client = connect(address_of(settings))
        # RedBeat takes it from here: made by us, no dump of settings has a password.
        app.redbeat_redis = self.client  # type: ignore[attr-defined]

    @cached_property
    def timetable(self) -> RedBeatTimetable:
        """The entries that beat runs."""
        return RedBeatTimetable(self._app, self.snapshots, self._settings.timezone)

    @cached_property
    def presence(self) -> Presence:
        """Which processes are alive."""
        return Presence(self.client, self._instance)

    @cached_property
    def state_directories(self) -> RememberedDirectories:
        """The places of this machine's state directory."""
        return RememberedDirectories(self.client)

    @cached_property
    def revoked(self) -> RevokedTasks:
        """Which tasks must not run."""
        return RevokedTasks(self.client)

    @cached_property
    def orders(self) -> Orders:
        return Orders(self.client)

    @cached_property
    def outage(self) -> Outage:
        """Where all parts record whether Redis works for them."""
        return Outage(self.client)

    @cached_property
    def held(self) -> HeldTasks:
        """Which tasks workers hold."""
        return HeldTasks(self.client)

    @cached_property
    def relay(self) -> Relay:
        """The channel to other workers."""
        return Relay(self.client, self._instance)

    @cached_property
    def owners(self) -> Owners:
        """Which worker holds the connection to which meter."""
        return Owners(self.client, self._instance)

    def examine(self) -> RedisFacts:
        """Return the facts about this Redis. Raises UnavailableError."""
        return examine(self.client)

    def probe(self) -> None:
        """Test what the service needs from Redis. Raises UnavailableError with Redis's message."""
        probe(self.client)

    def lease(self, role: str, owner: str, *, quiet: bool = False) -> Lease:
        """Build the lease of a role, of whose processes only one is active.

        Unless `quiet`, it logs which one that is.
        """
        return Lease(self.client, role, owner, quiet=quiet)

    def scheduler(self, sync: Callable[[], None], owner: str) -> Scheduler:
        """Build a scheduler; of several, the one whose owner holds the lease is active."""
        return Scheduler(self._app, self.snapshots, sync, self.lease("beat", owner), self.outage)

    @cached_property
    def snapshots(self) -> ScheduleSnapshots:
        return ScheduleSnapshots(self.client)
