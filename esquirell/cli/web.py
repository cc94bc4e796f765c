"""`esquirell web`: the page as a separate role, its password, and tokens for programs."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from esquirell.cli.call import Call, Command, Group, pass_call
from esquirell.cli.invocation import password_command
from esquirell.cli.output import print_json, print_table, say
from esquirell.domain.errors import ConfigError
from esquirell.settings.private_files import make_directory
from esquirell.settings.state_files import StateDirectory
from esquirell.web.sessions import Credentials
from esquirell.web.tokens import Tokens


@click.group("web", cls=Group, invoke_without_command=True)
@click.pass_context
def web(context: click.Context) -> int | None:
    """Serve the page as a separate role; or show its password, or manage tokens.

    `esquirell run` serves the page as well: this is for setups with one process per role.
    """
    if context.invoked_subcommand is not None:
        return None
    return _serve(context.ensure_object(Call))


def _serve(call: Call) -> int:
    from esquirell.cli.run import start  # noqa: PLC0415 - the other commands need no Celery
    from esquirell.daemon import process  # noqa: PLC0415 - the same
    from esquirell.daemon.lifecycle import ended  # noqa: PLC0415 - the same
    from esquirell.daemon.preparing import prepare  # noqa: PLC0415 - the same
    from esquirell.web.server import alone  # noqa: PLC0415 - the same

    runtime = start(call)
    prepare(runtime, schedules=False)
    return ended(runtime, process.run_parts(runtime, alone(runtime, password_command())))


@web.command("password", cls=Command)
@click.option("--set", "other", is_flag=True, help="Set another password; every session ends.")
@pass_call
def password(call: Call, *, other: bool) -> None:
    """Show the page's address and password, or set another password."""
    credentials = Credentials(call.settings, _directory(call))
    if other:
        hidden = sys.stdin.isatty()
        prompt = click.prompt("New password", hide_input=hidden, confirmation_prompt=hidden)
        credentials.change(prompt)
    shown = {"url": address(call), "password": credentials.password}
    if call.json:
        print_json(shown)
        return
    for key, value in shown.items():
        click.echo(f"{key}\t{value}")


@web.group("token", cls=Group)
def token() -> None:
    """Add, list and remove the tokens with which programs use /api/v1."""


@token.command("add", cls=Command)
@click.argument("name")
@click.option("--write", is_flag=True, help="Allow changes; without it the token only reads.")
@pass_call
def add(call: Call, name: str, *, write: bool) -> None:
    """Create a token and show it, only once: only a hash of it is kept."""
    text = _tokens(call).add(name, write=write)
    if call.json:
        print_json({"name": name, "write": write, "token": text})
        return
    click.echo(text)
    say("It is not shown again. Use it as: Authorization: Bearer TOKEN", err=True)


@token.command("list", cls=Command)
@pass_call
def list_tokens(call: Call) -> None:
    """List the tokens, what each may do, and when it was created."""
    listed: list[dict[str, Any]] = [asdict(token_) for token_ in _tokens(call).all()]
    rows = [{key: row[key] for key in ("name", "write", "created_at")} for row in listed]
    if call.json:
        print_json(rows)
        return
    shown = [(row["name"], "write" if row["write"] else "read", row["created_at"]) for row in rows]
    print_table(
        ("name", "may", "created"),
        shown,
        empty="no tokens yet: create one with esquirell web token add NAME",
    )


@token.command("remove", cls=Command)
@click.argument("name")
@pass_call
def remove(call: Call, name: str) -> None:
    """Remove a token: programs that use it are refused from now on."""
    _tokens(call).remove(name)
    if call.json:
        print_json({"name": name})
    else:
        say(f"The token {name} was removed.")


def address(call: Call) -> str:
    """Return the address of the page."""
    web = call.settings.web
    if not web.port:
        raise ConfigError("the page is switched off: set port under [web]")
    from esquirell.runtime.page_address import page_url  # noqa: PLC0415 - rarely needed

    return page_url(web)


def _tokens(call: Call) -> Tokens:
    return Tokens(_directory(call), lambda: datetime.now(UTC))


def _directory(call: Call) -> StateDirectory:
    make_directory(call.settings.state_dir)
    return StateDirectory(call.settings.state_dir)
