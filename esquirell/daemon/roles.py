"""The roles: what worker, beat and bridge consist of, separately or in one process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from esquirell.celery import Loader
from esquirell.daemon.celery_worker import Workload
from esquirell.daemon.following import following_broker, following_meters
from esquirell.daemon.parts import RunOnce, ServicePart
from esquirell.daemon.preparing import persistent_name
from esquirell.daemon.redis_server import RedisServer
from esquirell.daemon.role_parts import (
    bridge_part,
    commands,
    holding_database,
    holding_redis,
    housekeeping,
    missed_readings,
    mqtt_gauge,
    redis_part,
    worker_gauges,
    working,
)
from esquirell.daemon.service_locks import (
    RedisClaim,
    ServiceLocks,
    redis_owner,
    rival_service,
)
from esquirell.daemon.watchdog import Gauge
from esquirell.domain.meter import worker_of
from esquirell.domain.record import record
from esquirell.runtime.machine import Machine
from esquirell.runtime.root import Runtime
from esquirell.runtime.self_report import ProcessRoles
from esquirell.runtime.shared import QUEUES, Lease
from esquirell.settings.state_files import INSTANCE

# What a worker without `--queue` serves: all meters without a queue.
DEFAULT_QUEUE = "default"


@record
class Role:
    """What a process does: its roles by name, the parts that do it, and what to watch.

    With a lease, the process stands by until it holds it; `standing_by` names those of its roles in
    which another process is active, `rivals` is what is wrong with other services. A worker takes
    its tasks from `queues`. `at_exit` ends what must not outlast the process when that can't wait
    any longer; `on_up` is called when it has begun to work.
    """

    names: tuple[str, ...]
    parts: tuple[ServicePart, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    lease: Lease | None = None
    queues: tuple[str, ...] = QUEUES
    standing_by: Callable[[], tuple[str, ...]] = tuple
    rivals: Callable[[], tuple[str, ...]] = tuple
    at_exit: Callable[[], None] = lambda: None
    on_up: Callable[[], None] = lambda: None

    @property
    def node(self) -> str:
        """What Celery and Flower call a process of this role."""
        return "run" if len(self.names) > 1 else self.names[0]


def everything(runtime: Runtime, server: RedisServer | None, locks: ServiceLocks) -> Role:
    """Return all roles for this process, with our own Redis watched over if there is one.

    `locks` keep other services from its database and its state directory.
    """
    runtime.mqtt.bridges = True
    # The same owner after a restart: it need not wait for the previous lease.
    owner = persistent_name(runtime.settings.state_dir / INSTANCE)
    own_redis = (redis_part(server),) if server else ()
    bridge_lease = runtime.shared.lease("bridge", owner)
    bridging = (bridge_part(runtime, bridge_lease), commands(runtime), *missed_readings(runtime))
    following = (following_meters(runtime), *following_broker(runtime))
    holding = holding_database(runtime, locks)
    looking_after = (*following, holding, housekeeping(runtime), *own_redis)
    beat = Beat(runtime, owner)
    scheduling = ServicePart("beat", beat.make)
    runtime.shared.snapshots.on_change = scheduling.wake
    parts = (scheduling, *bridging, *looking_after, *working(runtime))
    at_exit = server.stop if server else lambda: None
    names = ("worker", "beat", "bridge")
    return Role(
        names,
        parts,
        worker_gauges(runtime),
        standing_by=beat.standing_by,
        rivals=locks.rivals,
        at_exit=at_exit,
        on_up=locks.note_up,
    )


def worker(
    runtime: Runtime,
    database: RedisClaim,
    queues: Sequence[str] = (DEFAULT_QUEUE,),
) -> Role:
    """Return the worker alone: it polls, stores and publishes the meters of these queues.

    `database` keeps workers with another one from its Redis.
    """
    runtime.polling.queues = tuple(queue for queue in queues if queue != DEFAULT_QUEUE)
    runtime.polling.served = tuple("" if queue == DEFAULT_QUEUE else queue for queue in queues)
    names = [worker_of(queue) for queue in runtime.polling.queues]
    taken = list(runtime.polling.queues)
    if DEFAULT_QUEUE in queues:
        names, taken = ["worker", *names], [*QUEUES, *taken]
    parts = (
        following_meters(runtime),
        housekeeping(runtime),
        holding_redis(database),
        *working(runtime),
    )
    return Role(
        tuple(names), parts, worker_gauges(runtime), queues=tuple(taken), rivals=database.rivals
    )


def beat(runtime: Runtime) -> Role:
    """Return the scheduler alone."""
    beat = Beat(runtime, runtime.instance)
    return Role(("beat",), (ServicePart("beat", beat.make),), standing_by=beat.standing_by)


def duties_of(runtime: Runtime, role: Role, workload: Workload | None = None) -> ProcessRoles:
    """Return what a process of this role, with this workload, reports about itself."""
    served = tuple(queue or DEFAULT_QUEUE for queue in runtime.polling.served)
    works = any(name.partition("@")[0] == "worker" for name in role.names)
    missing = cast("Loader", runtime.app.loader).problems.values()
    return ProcessRoles(
        role.names,
        role.standing_by,
        served if works else (),
        workload.is_full if workload else lambda: False,
        lambda: workload is not None and workload.is_blocked,
        lambda: (*role.rivals(), *missing),
    )


def bridge(runtime: Runtime) -> Role:
    """Return the bridge alone, which keeps the retained topics up to date."""
    runtime.mqtt.bridges = True
    lease = runtime.shared.lease("bridge", runtime.instance)
    bridging = (bridge_part(runtime), commands(runtime), *missed_readings(runtime))
    parts = (*bridging, following_meters(runtime))
    return Role(("bridge",), parts, (mqtt_gauge(runtime),), lease)


class Beat:
    """The scheduler of this process; of several processes, one scheduler is active."""

    def __init__(self, runtime: Runtime, owner: str) -> None:
        self._runtime = runtime
        self._owner = owner
        self._is_active = True

    @contextmanager
    def make(self) -> Iterator[RunOnce]:
        """Build the scheduler and yield its step."""
        scheduler = self._runtime.scheduler(self._owner)

        def run_once() -> float:
            pause_s = scheduler.tick()
            self._is_active = scheduler.is_active
            return pause_s

        try:
            yield run_once
        finally:
            scheduler.close()

    def standing_by(self) -> tuple[str, ...]:
        """Return the role's name unless its scheduler is the active one."""
        return () if self._is_active else ("beat",)


def redis_claim(runtime: Runtime) -> RedisClaim:
    """Return the claim of this service to its Redis.

    A copy of its SD card has the same name; it runs on another machine.
    """
    service = f"{persistent_name(runtime.settings.state_dir / INSTANCE)}-{Machine().boot}"
    database = runtime.storage.database
    owner = redis_owner(service, database.file, database.describe())
    lease = runtime.shared.lease("service", owner, quiet=True)
    return RedisClaim(lambda: lease, rival_service)
