"""A process of ours from start to end, with the signals in between."""

import logging
import queue
import signal
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from threading import Thread

from celery.signals import worker_ready

from esquirell.daemon import logs, records
from esquirell.daemon.celery_worker import (
    Consumer,
    ConsumerHeartbeat,
    OwnConsumer,
    Parts,
    Worker,
    Workload,
)
from esquirell.daemon.lifecycle import (
    END_WITHIN_S,
    RENEWAL,
    announcement,
    end_in_time,
    last_words,
    leave,
)
from esquirell.daemon.notify import notify, sign_of_life_every_s
from esquirell.daemon.pools import (
    HEARTBEAT_S,
    Pool,
    connect_children,
    node_name,
    pool_of,
)
from esquirell.daemon.remote import RestoreRevoked, TaskEventsForFlower
from esquirell.daemon.resources import settle
from esquirell.daemon.roles import Role, duties_of
from esquirell.daemon.signals import HANGUP, START, Flag, flag_of, restart
from esquirell.daemon.watchdog import Disks, Gauge, Progress, Watchdog
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.lazy_import import lazy_import
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import TASKS, Lease

log = logging.getLogger(__name__)

STAND_BY_S = 2.0
# Its supervisor restarts it, and it then stands by.
STAND_BY_EXIT_CODE = 75


def run_worker(runtime: Runtime, role: Role, pool: Pool) -> int:
    """Work until a signal arrives, with the parts of `role` running; return the exit code."""
    runtime.control.set_level = logs.set_level
    runtime.metrics.serve()
    runtime.app.steps["worker"].add(Parts)
    runtime.app.steps["consumer"].update(
        (OwnConsumer, ConsumerHeartbeat, RestoreRevoked, TaskEventsForFlower)
    )
    records.connect()
    pool.prepare(runtime.app)
    _say_when_ready(runtime, role)
    if pool.forks:
        connect_children(runtime)
    else:
        _open(runtime)
    with node_name(role.node, runtime.settings.lock_dir) as name:
        worker = build_worker(runtime, role, pool, name)
        workload = Workload(lambda: pool_of(worker).num_processes)
        runtime.self_report.duties = duties_of(runtime, role, workload)
        Parts.watchdog = _watchdog(runtime, role, workload=workload)
        # Celery has installed its own handler there, which restarts the worker.
        Parts.on_start = lambda: _after_fork(runtime, pool)
        settle()
        START.check()
        try:
            worker.start()
        finally:
            runtime.polling.close()
            leave(runtime, role)
    return RENEWAL.code(int(worker.exitcode or 0))


def _open(runtime: Runtime) -> None:
    runtime.connect()
    runtime.storage.spool.reserve()
    runtime.polling.poller.store_waiting()


def _after_fork(runtime: Runtime, pool: Pool) -> None:
    START.repeat()
    _reload_on_hangup(runtime, pool)
    if pool.forks:
        # Threads and sockets do not survive a fork.
        _open(runtime)


def run_parts(runtime: Runtime, role: Role) -> int:
    """Run the parts of `role` until a signal arrives; return the exit code."""
    ended = flag_of((signal.SIGTERM, signal.SIGINT))
    START.repeat()
    _reload_on_hangup(runtime)
    runtime.control.set_level = logs.set_level
    runtime.metrics.serve()
    settle()
    notify("READY=1")
    duties = duties_of(runtime, role)
    runtime.self_report.duties = replace(duties, standing_by=lambda: role.names)
    if role.lease is None or _stand_by(
        role.lease, ended, announcement(runtime, lambda: role.names)
    ):
        runtime.self_report.duties = duties
        return RENEWAL.code(_be_active(runtime, role, ended))
    return RENEWAL.code(0)


def _stand_by(lease: Lease, ended: Flag, announce: Callable[[], str]) -> bool:
    """Wait until the lease is ours; return whether it is, or the process is to end."""
    while not ended.is_set():
        announce()
        try:
            if lease.hold():
                return True
        except UnavailableError as error:
            log.debug("standing by: %s", error)
        notify("WATCHDOG=1", "STATUS=standing by: another one is active, or Redis is unreachable")
        ended.wait(sign_of_life_every_s(STAND_BY_S))
    return False


def _be_active(runtime: Runtime, role: Role, ended: Flag) -> int:
    progress = Progress()
    watchdog = _watchdog(runtime, role, Gauge("the main loop", progress.silent_s))
    if runtime.mqtt.bridges:
        runtime.connect()
    watchdog.start()
    _report_up(runtime, role)
    code = 0
    while not ended.wait(STAND_BY_S):
        progress.note()
        if role.lease is not None and _lost(role.lease):
            code = STAND_BY_EXIT_CODE
            log.error(
                "another %s is active: this one ends, and stands by when it is restarted",
                role.names[0],
            )
            break
    _begin_to_end(runtime, first=ended.times <= 1)
    end_in_time(lambda: last_words(runtime, role))
    watchdog.stop()
    leave(runtime, role)
    if role.lease is not None:
        role.lease.release()
    # A second signal may have come meanwhile.
    runtime.control.restarting &= ended.times <= 1
    return code


def _begin_to_end(runtime: Runtime, *, first: bool) -> None:
    """Log that the process ends, unless it restarts; another signal turns a restart into an end."""
    runtime.control.restarting &= first
    if not runtime.control.restarting:
        notify("STOPPING=1")


def _lost(lease: Lease) -> bool:
    """Return whether another holds the lease; while Redis is unreachable it can't be taken."""
    try:
        return not lease.hold()
    except UnavailableError:
        return False


def _watchdog(
    runtime: Runtime, role: Role, *gauges: Gauge, workload: Workload | None = None
) -> Watchdog:
    """Return the watchdog; a worker blocked by its `workload` is not announced as alive."""

    def names() -> Iterable[str]:
        is_blocked = workload is not None and workload.blocked()
        return [name for name in role.names if not (is_blocked and name == "worker")]

    announce = announcement(runtime, names, workload.asked_for if workload else dict)

    def look() -> str:
        if runtime.control.follow():
            restart()
        return announce() or _summary(runtime, role)

    database = runtime.storage.database.file
    folders = (runtime.settings.state_dir, *([database.parent] if database else []))
    disks = Disks(folders)

    def excuse() -> str:
        return disks.trouble() or runtime.shared.trouble()

    return Watchdog(role.parts, (*role.gauges, *gauges), look, excuse=excuse)


def build_worker(runtime: Runtime, role: Role, pool: Pool, name: str) -> Worker:
    """Return Celery's worker for a role."""
    has_tasks = pool.kind == "threads" and TASKS in role.queues
    taken = [TASKS] if has_tasks else list(role.queues)
    OwnConsumer.queues = [queue for queue in role.queues if queue not in taken]
    # Celery replaces a process lock there, which threads do not need: half a MiB.
    with nullcontext() if pool.forks else lazy_import("billiard.pool"):
        worker: Worker = runtime.app.subclass_with_self(Worker)(
            hostname=name,
            pool=pool.implementation,
            concurrency=pool.size,
            queues=taken,
            consumer_cls=Consumer,
            without_gossip=True,
            without_mingle=True,
            # They tell Flower that the worker is alive.
            heartbeat_interval=HEARTBEAT_S,
            quiet=True,
        )
    worker.on_end = _end_of(runtime, role)
    return worker


def _report_up(runtime: Runtime, role: Role) -> None:
    summary = _summary(runtime, role)
    notify(f"STATUS={summary}")
    log.info("%s", summary)
    role.on_up()


def _summary(runtime: Runtime, role: Role) -> str:
    return f"up as {', '.join(role.names)}; meters: {len(runtime.meters())}"


def _say_when_ready(runtime: Runtime, role: Role) -> None:
    def ready(**_: object) -> None:
        notify("READY=1")
        _report_up(runtime, role)

    worker_ready.connect(ready, weak=False)


def _end_of(runtime: Runtime, role: Role) -> Callable[[], None]:
    """Return the signal handler: the first signal allows some seconds, the second none."""
    signals = count()

    def end() -> None:
        first = next(signals) == 0
        _begin_to_end(runtime, first=first)
        runtime.polling.poller.stop()
        within_s = END_WITHIN_S if first else 0.0
        end_in_time(lambda: last_words(runtime, role), within_s)

    return end


def _reload_on_hangup(runtime: Runtime, pool: Pool | None = None) -> None:
    """Apply meters and log level at SIGHUP; an invalid configuration changes nothing."""
    # In a thread: the handler may interrupt a thread that holds a lock.
    word: queue.SimpleQueue[int] = queue.SimpleQueue()
    forks = pool is not None and pool.forks
    Thread(
        target=_serve, args=(runtime, word), kwargs={"forks": forks}, name="reload", daemon=True
    ).start()
    signal.signal(signal.SIGHUP, lambda number, _: word.put(number))
    if HANGUP.is_set():
        word.put(signal.SIGHUP)


def _serve(runtime: Runtime, word: queue.SimpleQueue[int], *, forks: bool) -> None:
    while word.get():
        if forks:
            log.error("processes keep their configuration: restart this worker to change it")
        else:
            _reload(runtime)


def _reload(runtime: Runtime) -> None:
    try:
        runtime.reload()
    except ConfigError as error:
        log.error("the configuration is unchanged: %s", error)  # noqa: TRY400 - one sentence
        return
    except Exception:  # the next SIGHUP must still be handled
        log.exception("the configuration could not be reloaded")
        return
    logs.set_level(runtime.settings.log.level)
    log.info("the configuration was reloaded; meters: %d", len(runtime.meters()))
