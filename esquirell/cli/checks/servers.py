"""The servers: database, Redis, MQTT broker, the service itself, and the cloud's limits."""

from collections.abc import Sequence

from esquirell.cli import service
from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.cli.health import silence
from esquirell.cli.mqtt import LEAVE_S, reach
from esquirell.daemon.redis_server import find_redis
from esquirell.domain.errors import EsquirellError
from esquirell.domain.process import Process
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import RedisFacts
from esquirell.services.health import problems_of_roles
from esquirell.settings.files import SEARCHED, may_exist

_START_REDIS = (
    "start it (sudo systemctl start redis-server), correct redis.url and its password, or set "
    'redis.url = "embedded"'
)
_DAY_S = 86400
MACHINE = SEARCHED[-1]
# Of what all processes report, so many are shown.
MOST_PROBLEMS = 5


def database(runtime: Runtime) -> Finding:
    """Check whether the database exists, is current and sound, and private to this user."""
    database = runtime.storage.database
    name, where, file = "database", database.describe(), database.file
    if file is not None and not file.exists():
        if loss := runtime.upkeep.loss():
            message, _, remedy = loss.partition(": ")
            return fault(name, message, remedy)
        return fine(name, f"{where} is created at the first start")
    problems = runtime.upkeep.problems(quick=True)
    if problems:
        remedy = "do what it says, or change database.url"
        return fault(name, " ".join(problems), remedy)
    database.try_out()
    if file is not None and file.stat().st_mode & 0o077:
        return advice(name, f"other users can read {where}", f"chmod 600 {where}")
    return fine(name, f"{where} is up to date and sound")


def redis(runtime: Runtime) -> Finding:
    """Check whether Redis answers, and keeps what is written to it."""
    if runtime.settings.redis.embedded and not service.runs_here(runtime):
        return fine("redis", f"{find_redis()}, started by esquirell run")
    try:
        return judge(runtime.shared.examine())
    except EsquirellError as error:
        return fault("redis", str(error), _START_REDIS)


def mqtt(runtime: Runtime) -> Finding:
    """Check whether the broker accepts us, and delivers what we send as we need it."""
    settings, check = runtime.settings.mqtt, runtime.mqtt.rights_check
    check.listen()
    runtime.mqtt.connection.start()
    trouble = reach(runtime.mqtt.connection)
    problems = [] if trouble else check.problems()
    runtime.mqtt.connection.stop(LEAVE_S)
    where = f"{settings.host}:{settings.port}"
    if trouble:
        return fault("mqtt", trouble, "correct esquirell.toml, or start the broker if it is down")
    if problems:
        remedy = (
            "change that in the configuration of the broker; config/mosquitto.acl is an example"
        )
        return fault("mqtt", f"{where} accepts us, but {', and '.join(problems)}", remedy)
    return fine("mqtt", f"{where} accepts the connection and delivers messages")


def running(runtime: Runtime) -> Finding:
    """Check which roles are alive, whether one is missing beside them, and what they report."""
    try:
        alive, processes = runtime.shared.presence.roles(), runtime.shared.presence.processes()
    except EsquirellError:
        return _unreported(runtime, None)
    if alive and (missing := next(problems_of_roles(alive), "")):
        message, _, remedy = missing.partition(": ")
        return fault("service", message, remedy)
    # A damaged file is a finding of its own.
    found = (problem for process in processes if process.alive for problem in process.problems)
    known = runtime.damaged()
    if problems := [problem for problem in dict.fromkeys(found) if problem not in known]:
        remedy = "the log of the service says more"
        return fault("service", "; ".join(problems[:MOST_PROBLEMS]), remedy)
    if alive:
        return fine("service", f"{', '.join(alive)}: alive")
    return _unreported(runtime, processes)


def _unreported(runtime: Runtime, processes: Sequence[Process] | None) -> Finding:
    """Return what is known of the service without a report; `processes`: None without Redis."""
    if not service.runs_here(runtime):
        return advice("service", "nothing runs", f"start it: esquirell run{_other(runtime)}")
    if processes is None:
        message = "esquirell run is alive; what it does is unknown without Redis"
        return advice("service", message, "correct Redis first")
    if silent := silence(processes):
        message, _, remedy = silent.partition("; ")
        return fault("service", message, remedy)
    if service.has_begun(runtime):
        remedy = "give it a Redis of its own, with maxmemory-policy noeviction"
        return fault("service", "something deletes its entries in Redis (FLUSHALL)", remedy)
    remedy = "wait a moment if it has just been started; else see its log"
    return fault("service", "esquirell run is running, but not registered in Redis", remedy)


def _other(runtime: Runtime) -> str:
    """Return a hint at the machine's own configuration, if another one is being checked."""
    source = runtime.settings.source
    if source in (None, MACHINE) or not may_exist(MACHINE):
        return ""
    return f"; the machine's service has another configuration: esquirell --config {MACHINE} doctor"


def queues(runtime: Runtime) -> Finding:
    """Check whether the meters on other networks have a worker there."""
    if unserved := runtime.health.unserved():
        remedy = f"start one on its network: esquirell worker --queue {unserved[0]}"
        return fault("queues", f"no worker serves {', '.join(unserved)}", remedy)
    return fine("queues", "each has a worker")


def judge(facts: RedisFacts) -> Finding:
    """Judge what a Redis reports about itself."""
    message = f"version {facts.version}, {facts.policy}"
    if facts.too_old:
        remedy = "upgrade it to 6.2 or newer, or use Valkey"
        return fault("redis", f"{message}: too old", remedy)
    if facts.slow:
        message, _, remedy = facts.slow.partition("; ")
        return advice("redis", message, remedy)
    if not facts.loses_tasks:
        return fine("redis", message)
    remedy = "set maxmemory-policy noeviction in its configuration"
    if not facts.limited:
        return advice("redis", f"{message}; it has no memory limit yet", remedy)
    return fault("redis", f"{message}: it discards tasks when memory runs out", remedy)


def budget(runtime: Runtime) -> Finding:
    """Check how many requests were used, and whether the schedules need more than allowed."""
    settings, spent = runtime.settings.cloud, runtime.devices.requests_spent()
    message = (
        f"{spent.today} of {settings.requests_per_day or 'any number of'} requests today, "
        f"{spent.this_month} of {settings.requests_per_month or 'any number of'} this month"
    )
    if _used_up(spent.today, settings.requests_per_day) or _used_up(
        spent.this_month, settings.requests_per_month
    ):
        remedy = "read cloud meters less often, or raise the limits under [cloud]"
        return fault("cloud", f"{message}: used up", remedy)
    needed = _needed(runtime)
    if settings.requests_per_day and needed > settings.requests_per_day:
        remedy = "give cloud meters a schedule of their own, such as every = 300"
        return advice("cloud", f"{message}; the schedules need {needed} a day", remedy)
    return fine("cloud", message)


def _used_up(spent: int, limit: int) -> bool:
    return bool(limit) and spent >= limit


def _needed(runtime: Runtime) -> int:
    """Count the requests per day that the schedules in the file make."""
    cloud = {meter.name for meter in runtime.meters() if meter.transport == "cloud"}
    return sum(
        _DAY_S // schedule.every * len(cloud & set(schedule.meters or cloud))
        for schedule in runtime.settings.schedules
        if schedule.every and schedule.enabled
    )
