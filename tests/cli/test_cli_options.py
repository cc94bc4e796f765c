import subprocess
import sys

import pytest
from support.cli import Home, esquirell, esquirell_process, meter
from support.service import KEY

from esquirell.cli.commands import COMMANDS, SECTIONS

SUBCOMMANDS = [
    *(("meters", name) for name in ("list", "show", "test", "capture", "sync")),
    *(("db", name) for name in ("upgrade", "check", "backup", "restore")),
    *(("config", name) for name in ("show", "check")),
]
ALL = [(), *((name,) for name in COMMANDS), *SUBCOMMANDS]

SPY = """
import sys
from esquirell.cli.errors import run
code = run(sys.argv[2:])
sys.stderr.write(",".join(sorted(set(sys.argv[1].split(",")) & sys.modules.keys())))
sys.exit(code)
"""


def loaded(modules: str, *arguments: str) -> str:
    """Return which of these modules a command loads."""
    command = [sys.executable, "-c", SPY, modules, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_explains_itself_and_takes_the_common_options(
    command: tuple[str, ...],
) -> None:
    said = esquirell(*command, "--help")
    assert (said.code, said.err) == (0, "")
    for option in ("--config", "--json", "--debug", "--version", "--help"):
        assert option in said.out
    assert "..." not in said.out.replace("]...", "")


def test_the_help_lists_every_command_once_under_its_heading() -> None:
    shown: dict[str, list[str]] = {}
    for line in esquirell("--help").out.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            shown[line[:-1]] = names = []
        elif shown and line.startswith("  "):
            names.append(line.split()[0])
    del shown["Options"]
    assert list(shown) == list(SECTIONS)
    assert shown == {heading: list(commands) for heading, commands in SECTIONS.items()}


@pytest.mark.parametrize("arguments", [("--version",), ("fetch", "--version")])
def test_the_version_before_and_after_the_command(arguments: tuple[str, ...]) -> None:
    assert esquirell(*arguments).out == "esquirell 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [("--json", "meters", "list"), ("meters", "--json", "list"), ("meters", "list", "--json")],
)
def test_json_before_and_after_the_command(home: Home, arguments: tuple[str, ...]) -> None:
    home.configure(meter())
    assert [one["name"] for one in esquirell(*arguments).json] == ["main"]


@pytest.mark.parametrize("before", [True, False])
def test_the_configuration_file_before_and_after_the_command(home: Home, before: bool) -> None:
    home.configure(meter())
    home.config.rename(home.path / "other.toml")
    option, command = ("--config", "other.toml"), ("config", "check")
    said = esquirell(*option, *command) if before else esquirell(*command, *option)
    assert said.code == 0
    assert "other.toml is fine" in said.out


def test_help_waits_for_nothing_that_loads_slowly() -> None:
    slow = "pydantic,sqlalchemy,celery,redis,paho,rich,tinytuya,importlib.metadata"
    assert loaded(slow, "--help") == ""


def test_stored_readings_are_shown_without_loading_what_reads_meters(home: Home) -> None:
    home.configure(meter())
    home.store()
    assert loaded("celery,redis,paho,rich,tinytuya,alembic", "readings", "--json") == ""


def test_debug_shows_the_traceback(home: Home) -> None:
    home.write("nonsense = 1")
    assert "Traceback" not in esquirell("config", "check").err
    assert "Traceback" in esquirell("--debug", "config", "check").err
    assert "Traceback" in esquirell("config", "check", "--debug").err


def test_debug_shows_the_log(home: Home) -> None:
    home.configure(meter())
    told = esquirell_process("fetch", "--no-publish", "--debug").err
    assert "WARNING:esquirell.services.statuses:main (127.0.0.1:1) can't be reached" in told
    assert KEY not in told
    (sentence,) = esquirell_process("fetch", "--no-publish").err.splitlines()
    assert sentence.startswith("esquirell: main (127.0.0.1:1) can't be reached")
