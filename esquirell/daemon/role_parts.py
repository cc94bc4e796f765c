"""The parts of the roles, each a loop of its own, and what the watchdog watches."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from esquirell.daemon.celery_worker import ConsumerHeartbeat
from esquirell.daemon.housekeeping import Housekeeping, by_one
from esquirell.daemon.lock import AlreadyRunningError
from esquirell.daemon.parts import RunOnce, ServicePart, repeating
from esquirell.daemon.redis_server import RedisServer
from esquirell.daemon.service_locks import RedisClaim, ServiceLocks, claim
from esquirell.daemon.watchdog import Gauge
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import Lease
from esquirell.services.poll import POLL_LIMIT_S

log = logging.getLogger(__name__)

BRIDGE_TURN_S = 1.0
# More often than the claim to Redis is lost.
CLAIM_TURN_S = 5.0
STORE_AGAIN_S = 5.0
# After an outage of Redis the consumer may need this long to report that it is back.
CONSUMER_LIMIT_S = 90.0
MQTT_LIMIT_S = 300.0


def working(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Hold connections to meters, and store what they report and what waits for the database."""
    runtime.devices.lines = runtime.polling.lines

    def hurry_reports() -> None:
        runtime.polling.reports.hurry()

    def storing() -> RunOnce:
        runtime.polling.reports.on_kept = runtime.mqtt.publisher.on_held = stored_reports.wake
        return runtime.polling.reports.store_due

    stored_reports = repeating("stored-reports", storing)
    return (
        repeating("lines", lambda: runtime.polling.lines.run_once),
        repeating("reports", lambda: runtime.polling.reports.run_once, hurry_reports),
        stored_reports,
        repeating("inbox", lambda: runtime.polling.inbox.run_once),
        _waiting_readings(runtime),
    )


def bridge_part(runtime: Runtime, lease: Lease | None = None) -> ServicePart:
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
    """Hold a lease, even against another holder: a bridge alone yields to a complete service."""
    try:
        if not lease.hold():
            lease.seize()
    except UnavailableError as error:
        log.debug("the lease is not renewed: %s", error)


def commands(runtime: Runtime) -> ServicePart:
    """Answer commands that come over MQTT."""

    def hurry() -> None:
        runtime.bridging.requests.hurry()

    return repeating("commands", lambda: runtime.bridging.requests.run_once, hurry)


def missed_readings(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Return the part that publishes what the broker missed, if that is enabled."""
    if not runtime.settings.mqtt.history:
        return ()

    return (repeating("history", lambda: runtime.bridging.replay.run_once),)


def holding_database(runtime: Runtime, locks: ServiceLocks) -> ServicePart:
    """Hold the database against another service, also after it was unreachable or replaced."""

    def run_once() -> float:
        try:
            # Elsewhere than in our own directory nothing is created.
            if runtime.storage.directory.is_there():
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


def holding_redis(database: RedisClaim) -> ServicePart:
    """Hold Redis for the workers with this database, and note when there are others."""

    def run_once() -> float:
        database.keep()
        return CLAIM_TURN_S

    return repeating("database", lambda: run_once)


def _waiting_readings(runtime: Runtime) -> ServicePart:
    """Try to store what could not be stored, also while no poll is due."""

    def run_once() -> float:
        runtime.polling.poller.delivery.saver.retry()
        runtime.polling.poller.ledgers.retry()
        return STORE_AGAIN_S

    return repeating("waiting-readings", lambda: run_once)


def housekeeping(runtime: Runtime) -> ServicePart:
    """Compute statistics and remove old readings, in one process of all."""

    @contextmanager
    def make() -> Iterator[RunOnce]:
        statistics, retention = runtime.storage.statistics, runtime.upkeep.retention
        keeper = Housekeeping(statistics, retention, runtime.publish_cost, runtime.has_tariff)
        lease = runtime.shared.lease("housekeeper", runtime.instance)
        try:
            yield by_one(lease, keeper.run_once)
        finally:
            lease.release()

    return ServicePart("housekeeping", make)


def redis_part(server: RedisServer) -> ServicePart:
    """Restart our own Redis when it has died."""
    return repeating("redis", lambda: server.keep_running)


def mqtt_gauge(runtime: Runtime) -> Gauge:
    """Watch the thread of the MQTT connection."""
    # A failing name lookup may take more than a minute.
    return Gauge("the MQTT connection", runtime.mqtt.connection.age, MQTT_LIMIT_S)


def worker_gauges(runtime: Runtime) -> tuple[Gauge, ...]:
    """Watch the MQTT connection, Celery's consumer and the reads of meters."""

    def consumer_silent_s() -> float:
        silent_s = ConsumerHeartbeat.silent_s()
        return silent_s if silent_s > CONSUMER_LIMIT_S and _redis_serves(runtime) else 0.0

    reads = Gauge("a read of a meter", runtime.polling.poller.reads.oldest_s, POLL_LIMIT_S * 3)
    consumer = Gauge("the consumer", consumer_silent_s, CONSUMER_LIMIT_S)
    return mqtt_gauge(runtime), consumer, reads


def _redis_serves(runtime: Runtime) -> bool:
    """Return whether Redis does what is needed; if not, that explains the consumer's silence."""
    try:
        runtime.shared.probe()
    except UnavailableError:
        ConsumerHeartbeat.note()
        return False
    return True
