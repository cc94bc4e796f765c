"""`esquirell schedule`: what runs when, with the same commands as over MQTT."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from esquirell.cli.call import Call, Group, misuse, pass_call
from esquirell.cli.meter_names import METER, split
from esquirell.cli.moments import Seconds, local
from esquirell.cli.output import in_terminal, print_json, print_table, say, warn
from esquirell.cli.values import plain
from esquirell.domain.errors import UnavailableError
from esquirell.domain.payload import parse_json
from esquirell.domain.schedule import FETCH

COLUMNS = ("name", "task", "rule", "meters", "enabled", "last_run_at", "last_result", "next_run_at")
# A terminal has less room, and the time of day is enough.
SHORT = {"last_run_at": "last run", "last_result": "result", "next_run_at": "next run"}

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

FIELDS: tuple[Option, ...] = (
    click.option(
        "--every", type=Seconds(), metavar="SECONDS", help="Run at this interval: 300, or 5m."
    ),
    click.option(
        "--cron",
        metavar="FIELDS",
        help='Run by a crontab of five fields, in quotation marks: "*/5 8-18 * * mon-fri".',
    ),
    click.option("--timezone", metavar="ZONE", help="The time zone of the crontab."),
    click.option(
        "--meter",
        "--meters",
        "meters",
        type=METER,
        multiple=True,
        metavar="NAME[,NAME]...",
        help="Only for these meters.",
    ),
    click.option("--args", metavar="JSON", help="Arguments of the task, as a JSON object."),
    click.option(
        "--expires",
        type=Seconds(),
        metavar="SECONDS",
        help="Drop a run that has not started within this time.",
    ),
)


def with_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a schedule."""
    for option in reversed(FIELDS):
        command = option(command)
    return command


@click.group("schedule", cls=Group)
def schedule() -> None:
    """List and change what runs when. A running service takes changes over at once."""


@schedule.command("list")
@pass_call
def list_schedules(call: Call) -> None:
    """List the schedules, with their last and next runs."""
    found = _recorded(call) or ask(call, "schedule/list", {})["schedules"]
    if call.json:
        print_json(found)
        return
    _print(call, found)
    _warn_of_absence(call)


def _recorded(call: Call) -> list[Mapping[str, Any]]:
    """Return the schedules of the record, read without Celery; nothing before there is a record."""
    try:
        return list(call.schedules.states().values())
    except UnavailableError:
        return []


def _warn_of_absence(call: Call) -> None:
    """Warn that nothing runs at these times if there is no scheduler."""
    try:
        if "beat" not in call.presence.roles():
            warn("no scheduler is alive, so nothing runs at these times: start esquirell run")
    except UnavailableError as error:
        # An embedded Redis is there only while the service runs.
        why = "start esquirell run" if call.settings.redis.embedded else str(error)
        warn(f"nothing runs at these times: {why}")


@schedule.command("add")
@click.argument("name")
@click.option("--task", help="The task to run. [default: read the meters]")
@with_fields
@pass_call
def add(call: Call, /, name: str, task: str | None, **fields: Any) -> None:  # noqa: ANN401 - options
    """Add a schedule."""
    chosen = {"task": task} if task else {}
    _show(call, ask(call, "schedule/add", {"name": name} | chosen | _given(fields)))


@schedule.command("set")
@click.argument("name")
@with_fields
@click.option("--all-meters", is_flag=True, help="For all meters again.")
@pass_call
def change(call: Call, /, name: str, all_meters: bool, **fields: Any) -> None:  # noqa: ANN401 - options
    """Change fields of a schedule; the others stay."""
    everywhere = {"meters": None} if all_meters else {}
    _show(call, ask(call, "schedule/set", {"name": name} | _given(fields) | everywhere))


def _plain_command(verb: str, help_: str) -> None:
    @schedule.command(verb, help=help_)
    @click.argument("name")
    @pass_call
    def command(call: Call, name: str) -> None:
        _show(call, ask(call, f"schedule/{verb}", {"name": name}))


_plain_command("enable", "Resume a paused schedule.")
_plain_command("disable", "Pause a schedule.")
_plain_command("reset", "Forget all changes: back to the configuration file.")
_plain_command("remove", "Remove a schedule for good.")


@schedule.command("run")
@click.argument("name")
@pass_call
def run(call: Call, name: str) -> None:
    """Run a schedule now and wait for its end."""
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which `list` can spare

    load(call)
    print_json(service.finish(call.runtime, "schedule/run", {"name": name}))


def load(call: Call) -> None:
    """Load the user's own tasks, so that they are known by name."""
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which `list` can spare
    from esquirell.tasks import load_own_tasks  # noqa: PLC0415 - the same

    for problem in load_own_tasks(call.settings):
        warn(problem)
    runtime = call.runtime
    service.prepare_alone(runtime, stores=True)
    if not runtime.schedules.states():
        # Before the first start of a service there are only the defaults of the file.
        runtime.schedules.check(call.settings.schedules)
        runtime.schedules.adopt(call.settings.schedules)


def ask(call: Call, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a command; return its data. Raises CommandError."""
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which `list` can spare

    load(call)
    return service.ask(call.runtime, command, data)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in fields.items() if value not in (None, ())}
    if "args" in given:
        given["args"] = read_args(given["args"])
    if "meters" in given:
        given["meters"] = split(given["meters"])
    return given


def read_args(text: str) -> dict[str, Any]:
    """Parse arguments given as JSON. Raises UsageError."""
    try:
        args = parse_json(text)
    except ValueError:
        args = None
    if not isinstance(args, dict):
        raise misuse("--args must be a JSON object, such as '{\"degrees\": 21}'")
    return args


def _show(call: Call, state: Mapping[str, Any]) -> None:
    if call.json:
        print_json(state)
    elif "task" in state:
        _print(call, [state])
    else:
        say(f"{state['name']} was removed")


def _print(call: Call, states: Sequence[Mapping[str, Any]]) -> None:
    columns = [column for column in COLUMNS if column != "task" or _other_tasks(states)]
    headings = [SHORT.get(column, column) if in_terminal() else column for column in columns]
    rows = [_row(state, call.settings.timezone) for state in states]
    print_table(
        headings, [[row[column] for column in columns] for row in rows], empty="no schedule"
    )


def _other_tasks(states: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether to show the column of tasks; programs always get it."""
    return not in_terminal() or any(state["task"] != FETCH for state in states)


def _row(state: Mapping[str, Any], zone: str) -> dict[str, str]:
    shown = dict(state)
    shown["rule"] = f"every {state['every']} s" if state["every"] else _crontab(state)
    shown["meters"] = ", ".join(state["meters"]) if state["meters"] else "all"
    shown["enabled"] = "yes" if state["enabled"] else "no"
    for key in ("last_run_at", "next_run_at"):
        if state[key] and in_terminal():
            shown[key] = _short(local(state[key], zone), zone)
    return {column: plain(shown[column]) for column in COLUMNS}


def _short(moment: str, zone: str) -> str:
    """Leave out today's date."""
    today = f"{datetime.now(ZoneInfo(zone)):%Y-%m-%d} "
    return moment.removeprefix(today)


def _crontab(state: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (state["cron"], state["timezone"])))
