"""The roles: what worker, beat and bridge consist of, separately or in one process."""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from esquirell.daemon.consumer import ConsumerHeartbeat
from esquirell.daemon.following import following_broker, following_meters
from esquirell.daemon.housekeeping import Housekeeping, by_one
from esquirell.daemon.listening import listening
from esquirell.daemon.lock import (
    AlreadyRunningError,
    RedisClaim,
    ServiceLocks,
    claim,
    redis_owner,
    rival_service,
)
from esquirell.daemon.parts import RunOnce, ServicePart, repeating
from esquirell.daemon.pools import Kind
from esquirell.daemon.redis_server import RedisServer
from esquirell.daemon.service_name import persistent_name
from esquirell.daemon.watchdog import Gauge
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.meter import worker_of
from esquirell.domain.record import record
from esquirell.runtime.machine import Machine
from esquirell.runtime.root import Runtime
from esquirell.runtime.self_report import ProcessRoles
from esquirell.runtime.shared import QUEUES, Lease
from esquirell.services.poll import POLL_LIMIT_S
from esquirell.settings.state_files import INSTANCE

log = logging.getLogger(__name__)

BRIDGE_TURN_S = 1.0
# More often than the claim to Redis is lost.
CLAIM_TURN_S = 5.0
STORE_AGAIN_S = 5.0
# What a worker without `--queue` serves: all meters without a queue.
DEFAULT_QUEUE = "default"
# After an outage of Redis the consumer may need this long to report that it is back.
CONSUMER_LIMIT_S = 90.0
MQTT_LIMIT_S = 300.0


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
    own_redis = (_server(server),) if server else ()
    bridge_lease = runtime.shared.lease("bridge", owner)
    bridging = (_bridge(runtime, bridge_lease), _commands(runtime), *_missed(runtime))
    following = (following_meters(runtime), *following_broker(runtime))
    looking_after = (*following, _claim(runtime, locks), _housekeeping(runtime), *own_redis)
    beat = Beat(runtime, owner)
    working = (*listening(runtime), _waiting(runtime))
    scheduling = ServicePart("beat", beat.make)
    runtime.shared.snapshots.on_change = scheduling.wake
    parts = (scheduling, *bridging, *looking_after, *working)
    gauges = (_mqtt_gauge(runtime), *_worker_gauges(runtime))
    at_exit = server.stop if server else lambda: None
    names = ("worker", "beat", "bridge")
    return Role(
        names,
        parts,
        gauges,
        standing_by=beat.standing_by,
        rivals=locks.rivals,
        at_exit=at_exit,
        on_up=locks.note_up,
    )


def worker(
    runtime: Runtime,
    database: RedisClaim,
    queues: Sequence[str] = (DEFAULT_QUEUE,),
    kind: Kind = "threads",
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
    working = (*listening(runtime), _waiting(runtime))
    parts = (following_meters(runtime), _housekeeping(runtime), _keeping(database), *working)
    return Role(
        tuple(names), parts, _gauges_of(runtime, kind), queues=tuple(taken), rivals=database.rivals
    )


def _gauges_of(runtime: Runtime, kind: Kind) -> tuple[Gauge, ...]:
    consumer, reads = _worker_gauges(runtime)
    gauges: dict[Kind, tuple[Gauge, ...]] = {
        "threads": (_mqtt_gauge(runtime), consumer, reads),
        "prefork": (_mqtt_gauge(runtime), consumer, reads),
        # Its consumer is silent for as long as a task takes.
        "solo": (_mqtt_gauge(runtime), reads),
    }
    return gauges[kind]


def beat(runtime: Runtime) -> Role:
    """Return the scheduler alone."""
    beat = Beat(runtime, runtime.instance)
    return Role(("beat",), (ServicePart("beat", beat.make),), standing_by=beat.standing_by)


def duties_of(
    runtime: Runtime, role: Role, blocked: Callable[[], bool] = lambda: False
) -> ProcessRoles:
    """Return what a process of this role reports about itself; `blocked` is its worker's state."""
    served = tuple(queue or DEFAULT_QUEUE for queue in runtime.polling.served)
    works = any(name.partition("@")[0] == "worker" for name in role.names)
    return ProcessRoles(role.names, role.standing_by, served if works else (), blocked, role.rivals)


def bridge(runtime: Runtime) -> Role:
    """Return the bridge alone, which keeps the retained topics up to date."""
    runtime.mqtt.bridges = True
    lease = runtime.shared.lease("bridge", runtime.instance)
    parts = (_bridge(runtime), _commands(runtime), *_missed(runtime), following_meters(runtime))
    return Role(("bridge",), parts, (_mqtt_gauge(runtime),), lease)


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


def _bridge(runtime: Runtime, lease: Lease | None = None) -> ServicePart:
    """Build the bridge; with a lease it makes bridges elsewhere stand by."""

    def run_once() -> float:
        if lease is not None:
            _keep(lease)
        rest_s = runtime.bridging.bridge.tick()
        # Where beat looks at the schedules every two seconds, it says what is new.
        return rest_s if runtime.shared.snapshots.is_shared else min(rest_s, BRIDGE_TURN_S)

    @contextmanager
    def make() -> Iterator[RunOnce]:
        runtime.bridging.bridge.on_work(part.wake)
        runtime.shared.snapshots.on_work = part.wake
        yield run_once

    part = ServicePart("bridge", make)
    return part


def _keep(lease: Lease) -> None:
    """Hold a lease, even against another holder: a bridge alone gives way to a whole service."""
    try:
        if not lease.hold():
            lease.seize()
    except UnavailableError as error:
        log.debug("the lease is not renewed: %s", error)


def _commands(runtime: Runtime) -> ServicePart:
    def hurry() -> None:
        runtime.bridging.requests.hurry()

    return repeating("commands", lambda: runtime.bridging.requests.run_once, hurry)


def _missed(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Return the part that publishes what the broker missed, if that is enabled."""
    if not runtime.settings.mqtt.history:
        return ()

    return (repeating("history", lambda: runtime.bridging.replay.run_once),)


def redis_claim(runtime: Runtime) -> RedisClaim:
    """Return the claim of this service to its Redis.

    A copy of its SD card has the same name; it runs on another machine.
    """
    service = f"{persistent_name(runtime.settings.state_dir / INSTANCE)}-{Machine().boot}"
    database = runtime.storage.database
    owner = redis_owner(service, database.file, database.describe())
    lease = runtime.shared.lease("service", owner, quiet=True)
    return RedisClaim(lambda: lease, rival_service)


def _claim(runtime: Runtime, locks: ServiceLocks) -> ServicePart:
    """Hold the database against another service, also after it was unreachable or replaced."""

    def run_once() -> float:
        try:
            # Elsewhere than in our own directory nothing is created.
            if runtime.place.is_there():
                locks.keep()
            locks.keep_redis()
            claim(runtime)
        except ConfigError as error:
            log.debug("the lock on the database is not renewed: %s", error)
        except UnavailableError as error:
            log.debug("the claim to the database is not renewed: %s", error)
        except AlreadyRunningError as error:
            log.error("this service ends: %s", error)  # noqa: TRY400 - one sentence
            os.kill(os.getpid(), signal.SIGTERM)
        return CLAIM_TURN_S

    return repeating("claim", lambda: run_once)


def _keeping(database: RedisClaim) -> ServicePart:
    """Hold Redis for the workers with this database, and note when there are others."""

    def run_once() -> float:
        database.keep()
        return CLAIM_TURN_S

    return repeating("database", lambda: run_once)


def _waiting(runtime: Runtime) -> ServicePart:
    """Try to store what could not be stored, also while no poll is due."""

    def run_once() -> float:
        runtime.polling.poller.delivery.saver.retry()
        return STORE_AGAIN_S

    return repeating("waiting-readings", lambda: run_once)


def _housekeeping(runtime: Runtime) -> ServicePart:
    @contextmanager
    def make() -> Iterator[RunOnce]:
        statistics, retention = runtime.storage.statistics, runtime.upkeep.retention
        keeper = Housekeeping(statistics, retention, runtime.publish_cost)
        lease = runtime.shared.lease("housekeeper", runtime.instance)
        try:
            yield by_one(lease, keeper.run_once)
        finally:
            lease.release()

    return ServicePart("housekeeping", make)


def _server(server: RedisServer) -> ServicePart:
    return repeating("redis", lambda: server.keep_running)


def _mqtt_gauge(runtime: Runtime) -> Gauge:
    # A failing name lookup may take more than a minute.
    return Gauge("the MQTT connection", runtime.mqtt.connection.age, MQTT_LIMIT_S)


def _worker_gauges(runtime: Runtime) -> tuple[Gauge, Gauge]:
    def consumer_silent_s() -> float:
        silent_s = ConsumerHeartbeat.silent_s()
        return silent_s if silent_s > CONSUMER_LIMIT_S and _redis_serves(runtime) else 0.0

    reads = Gauge("a read of a meter", runtime.polling.poller.reads.oldest_s, POLL_LIMIT_S * 3)
    return (Gauge("the consumer", consumer_silent_s, CONSUMER_LIMIT_S), reads)


def _redis_serves(runtime: Runtime) -> bool:
    """Return whether Redis does what is needed; if not, that explains the consumer's silence."""
    try:
        runtime.shared.probe()
    except UnavailableError:
        ConsumerHeartbeat.note()
        return False
    return True
