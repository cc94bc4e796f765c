"""`esquirell run`, `worker`, `beat`, `bridge` and `flower`: the long-running roles."""

import os
import signal
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, get_args

import click

from esquirell.cli.call import Between, Call, Command, OneOf, misuse, pass_call
from esquirell.cli.invocation import as_typed, password_command
from esquirell.cli.output import say, warn
from esquirell.cli.ownership import refuse_root
from esquirell.daemon import logs, process, roles
from esquirell.daemon.lifecycle import RENEWAL, announcing, ended
from esquirell.daemon.pools import Kind, Pool
from esquirell.daemon.preparing import claim_of_workers, prepare
from esquirell.daemon.redis_server import RedisServer
from esquirell.daemon.resources import check_limits, share_heap
from esquirell.daemon.service_locks import ServiceLocks
from esquirell.daemon.signals import HANGUP, START
from esquirell.daemon.threads import MOST_PLACES
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.extras import install_command
from esquirell.runtime.connections import learn_broker
from esquirell.runtime.root import Runtime
from esquirell.settings.home_assistant_app import state_dir_of
from esquirell.settings.private_files import make_directory
from esquirell.tasks import load_own_tasks

if TYPE_CHECKING:
    from esquirell.flower.access import Credentials


@click.command("run", cls=Command)
@pass_call
def run(call: Call) -> int:
    """Run worker, scheduler, MQTT bridge and page in one process."""
    _learn_broker()
    runtime = start(call)
    settings = runtime.settings
    make_directory(settings.state_dir)
    locks = ServiceLocks(settings)
    locks.take()
    server = RedisServer(settings.redis_socket) if settings.redis.embedded else None
    try:
        if server:
            server.start()
        prepare(runtime, schedules=True, alone=True)
        if not server:
            locks.take_redis(roles.redis_claim(runtime), claim_of_workers(runtime))
        pool = Pool("threads", settings.worker.concurrency)
        role = with_page(runtime, roles.everything(runtime, server, locks))
        code = process.run_worker(runtime, role, pool)
    finally:
        if server:
            server.stop()
        runtime.upkeep.claim.release()
        locks.release()
    return ended(runtime, code)


def _learn_broker() -> None:
    """In a Home Assistant app, find out which broker to use, before the settings are loaded."""
    try:
        learn_broker(os.environ)
    except (UnavailableError, ConfigError) as error:
        # Also on a full disk: what it said before counts, and it is asked again.
        warn(str(error))


def with_page(runtime: Runtime, role: roles.Role) -> roles.Role:
    """Return a role with the page beside it, if it is enabled."""
    if not runtime.settings.web.port and state_dir_of(os.environ) is None:
        return role
    from esquirell.web.server import beside  # noqa: PLC0415 - megabytes that only the page needs

    return beside(runtime, role, password_command())


@click.command("worker", cls=Command)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Read only the meters of this queue; repeat for more (`default`: meters without a queue).",
)
@click.option(
    "--pool",
    "kind",
    type=OneOf(get_args(Kind)),
    default="threads",
    help="How tasks run; processes (prefork) can be killed but need more memory.",
)
@click.option(
    "--concurrency",
    type=Between(1, MOST_PLACES),
    metavar="N",
    help="How many tasks run in parallel. [default: concurrency in [worker]]",
)
@pass_call
def worker(call: Call, *, queues: tuple[str, ...], kind: Kind, concurrency: int | None) -> int:
    """Run a worker alone: it polls, stores and publishes. Start as many as you like."""
    runtime = start(call)
    _check_queues(runtime, queues)
    prepare(runtime, schedules=False)
    database = claim_of_workers(runtime)
    database.take()
    size = concurrency or runtime.settings.worker.concurrency
    role = roles.worker(runtime, database, queues or (roles.DEFAULT_QUEUE,))
    # The claim is not released at the end, but expires: other workers may hold it as well.
    code = process.run_worker(runtime, role, Pool(kind, size))
    return ended(runtime, code)


def _check_queues(runtime: Runtime, queues: tuple[str, ...]) -> None:
    known = {roles.DEFAULT_QUEUE} | {meter.queue for meter in runtime.meters() if meter.queue}
    for queue in queues:
        if queue not in known:
            raise misuse(f"no meter has queue {queue!r}; known: {', '.join(sorted(known))}")


@click.command("beat", cls=Command)
@pass_call
def beat(call: Call) -> int:
    """Run the scheduler alone. Of several, one is active and the others stand by."""
    runtime = start(call)
    prepare(runtime, schedules=True)
    return ended(runtime, process.run_parts(runtime, roles.beat(runtime)))


@click.command("bridge", cls=Command)
@pass_call
def bridge(call: Call) -> int:
    """Run the MQTT bridge alone: discovery, availability and health."""
    runtime = start(call)
    prepare(runtime, schedules=False)
    return ended(runtime, process.run_parts(runtime, roles.bridge(runtime)))


def start(call: Call) -> Runtime:
    """Set up what every long-running role needs. Raises ConfigError."""
    # Until Celery takes over, a signal raises an exit, so that what was started is stopped.
    signal.signal(signal.SIGTERM, START)
    signal.signal(signal.SIGHUP, HANGUP.set)
    share_heap()
    settings = call.settings
    call.warn_without_meters()
    refuse_root(settings.state_dir)
    logs.set_up("debug" if call.debug else settings.log.level, settings.log.format, as_typed)
    check_limits(len(settings.meters))
    call.runtime.place.check()
    return call.runtime


@click.command("flower", cls=Command)
@pass_call
def flower(call: Call) -> int:
    """Show tasks and workers on a web page, with a password; needs the extra `flower`."""
    check_installed("flower")
    runtime = start(call)
    from esquirell.flower.access import credentials  # noqa: PLC0415 - it may not be installed
    from esquirell.flower.server import serve  # noqa: PLC0415 - the same

    settings = runtime.settings
    make_directory(settings.state_dir)
    load_own_tasks(settings)
    who = credentials(settings)
    _show(who)
    with announcing(runtime, "flower") as announce:
        serve(runtime.app, settings, who, announce)
    return RENEWAL.code(0)


def check_installed(distribution: str) -> None:
    """Raise ConfigError unless the package that provides the page is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        raise ConfigError(f"Flower is not installed: {install_command('flower')}") from None


def _show(who: "Credentials") -> None:
    """Show a newly generated password, only once; but not to the journal, which keeps it."""
    if who.made_up is None:
        return
    if os.environ.get("JOURNAL_STREAM"):
        say(f"a password for Flower's user {who.user} was generated: see {who.made_up}")
        return
    say(
        f"Flower's user: {who.user}\nIts password: {who.password}\n"
        f"It is shown only once, and kept in {who.made_up}."
    )
