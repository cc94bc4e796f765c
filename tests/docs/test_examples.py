"""Every command line and every configuration in the documentation is one that works."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import tomlkit
from click.testing import CliRunner
from support.configuration import KEY
from support.docs import PAGES, blocks, words

from esquirell.cli.app import app
from esquirell.settings import load

CALL = re.compile(
    r"(?:sudo )?(?:docker compose .*?(?:exec|run) .*?worker )?(?:\S*/)?esquirell(?: ([^|&;>]*)|$)"
)
# In a sentence a command may be shortened, and what stands in capitals is to be replaced.
INLINE = re.compile(r"`(?:sudo )?esquirell ([^`|&;>]+)`")


def calls(page: Path) -> Iterator[list[str]]:
    """Return the arguments of each call of esquirell on a page."""
    for block in blocks("sh"):
        for line in block.lines if block.page == page else []:
            if found := CALL.match(line):
                yield words(found[1] or "")
    for found in INLINE.findall(_BLOCKS.sub("", page.read_text())):
        if not found.startswith("COMMAND"):
            yield words(found)


_BLOCKS = re.compile(r"```.*?```", re.DOTALL)


def check(arguments: list[str]) -> None:
    """Parse a call as the command line does, without doing what it says. Raises click's errors."""
    command: click.Command = app
    context = click.Context(app, info_name="esquirell")
    rest = list(arguments)
    while isinstance(command, click.Group):
        while rest and rest[0].startswith("-"):
            option = rest.pop(0)
            if option == "--config":
                rest.pop(0)
        if not rest:
            return
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    _, _, order = command.make_parser(context).parse_args(rest)
    assert order is not None


CALLS = [
    pytest.param(arguments, id=f"{page.name}: {shlex.join(arguments)}"[:90])
    for page in PAGES
    for arguments in calls(page)
]


@pytest.mark.parametrize("arguments", CALLS)
def test_every_command_line_is_understood(arguments: list[str]) -> None:
    check(arguments)


def test_a_command_line_that_is_wrong_would_be_seen() -> None:
    assert len(CALLS) > 120
    with pytest.raises(click.UsageError):
        check(["readings", "--sinse", "1h"])
    with pytest.raises(AssertionError):
        check(["reading"])
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


# Pieces of other files: a profile, and what one meter answered.
OTHER_FILES = {"datapoints", "dps", "expected"}

CONFIGURATIONS = [
    pytest.param(block.text, id=f"{block.page.name} {number}")
    for number, block in enumerate(blocks("toml"))
    if not OTHER_FILES & tomllib.loads(block.text).keys()
]


def put_files(tables: dict[str, Any], folder: Path) -> None:
    """Write each secret file that a configuration names."""
    for key, value in tables.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                put_files(table, folder)
        if key.endswith("_file") and isinstance(value, str):
            (folder / value).write_text(f"{KEY}\n")
            (folder / value).chmod(0o600)


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_every_configuration_is_accepted(block: str, tmp_path: Path) -> None:
    tables = tomllib.loads(block)
    put_files(tables, tmp_path)
    named = {name for one in tables.get("tariffs", []) for name in one.get("meters", [])}
    meters = tables.setdefault("meters", [{"name": name} for name in sorted(named)])
    there = {meter["name"] for meter in meters}
    meters += [{"name": name} for name in {one.get("upstream") for one in meters} - there - {None}]
    for meter in meters:
        meter.setdefault("device_id", f"bf{meter['name']}")
        if meter.get("transport") == "cloud":
            tables["cloud"] = {"api_key": "p1a2b3c4d5e6f7g8h9i0", "api_secret": KEY}
        elif "local_key_file" not in meter:
            meter["local_key"] = KEY
    file = tmp_path / "esquirell.toml"
    file.write_text(tomlkit.dumps(tables))
    settings = load(file, {})
    assert settings.source == file


def test_configurations_are_found() -> None:
    assert len(CONFIGURATIONS) > 15
