"""`esquirell tasks`: list what can be scheduled, and run one once."""

import click

from esquirell.cli import service
from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.output import print_json, print_table, warn
from esquirell.cli.schedule import load, read_args
from esquirell.domain.tasks import registry
from esquirell.tasks import load_own_tasks


@click.group("tasks", cls=Group)
def tasks() -> None:
    """List the tasks that can be scheduled, or run one."""


@tasks.command("list")
@pass_call
def list_tasks(call: Call) -> None:
    """List the tasks that can be scheduled, including yours."""
    for problem in (*load_own_tasks(call.settings), *registry.problems()):
        warn(problem)
    found = service.ask(call.runtime, "task/list", {})["tasks"]
    if call.json:
        print_json(found)
        return
    rows = [
        (task["name"], ", ".join(task["args"]["properties"]), task["description"]) for task in found
    ]
    print_table(("name", "arguments", "description"), rows)


@tasks.command("run")
@click.argument("name")
@click.option("--args", default="{}", metavar="JSON", help="Its arguments, as a JSON object.")
@pass_call
def run(call: Call, name: str, args: str) -> None:
    """Run a task through a worker and wait for its result."""
    load(call)
    request = {"task": name, "args": read_args(args)}
    print_json(service.finish(call.runtime, "task/run", request))
