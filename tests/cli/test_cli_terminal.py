"""What helps at a prompt: completion, the manual page, and words for a slip."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from support.cli import Home, meter
from support.terminal import Terminal
from support.waiting import eventually

import esquirell
from esquirell.cli import errors
from esquirell.cli.commands import COMMANDS, SYNONYMS
from esquirell.cli.output import working, wrapped
from esquirell.cli.requirements import is_required
from esquirell.cli.systemd.layout import COMPLETION, Layout

ROOT = Path(__file__).parents[2]
GROFF = shutil.which("groff")


def in_terminal(columns: int, *arguments: str) -> str:
    with Terminal([sys.executable, "-m", "esquirell", *arguments], columns) as terminal:
        terminal.finish()
    return click.unstyle(terminal.text)


def complete(*words: str, folder: Path) -> list[str]:
    """Return what bash offers for the last word, by the shipped completion."""
    program = folder / "esquirell"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m esquirell "$@"\n')
    program.chmod(0o755)
    quoted = " ".join(f"'{word}'" for word in ("esquirell", *words))
    script = (
        f"source '{COMPLETION}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; "
        f"_esquirell '{program}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ,
    )
    assert not done.stderr.replace("compopt: not currently executing completion function", "")[200:]
    return done.stdout.split()


def test_a_numbered_step_is_wrapped_behind_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert wrapped("Steps:\n  1. scan the code with the app, then go back to it") == (
        "Steps:\n  1. scan the code with the app, then go\n     back to it"
    )


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert complete("rea", folder=tmp_path) == ["readings"]
    assert set(complete("schedule", "e", folder=tmp_path)) == {"enable"}
    assert "--resolution" in complete("readings", "--re", folder=tmp_path)


def manual() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manpage", ROOT / "script" / "manpage.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(GROFF is None, reason="groff is not installed")
def test_the_manual_page_has_every_command_and_is_sound() -> None:
    done = subprocess.run(
        [str(GROFF), "-man", "-Kutf8", "-Tutf8", "-ww", "-rLL=200n"],
        input=manual().page(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    shown = "".join(
        letter
        for letter, after in zip(done.stdout, f"{done.stdout[1:]} ", strict=True)
        if "\b" not in letter + after
    )
    for name in COMMANDS:
        assert f"esquirell {name}" in shown


def test_a_misspelling_is_answered_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert errors.run(["redings"]) == 2
    assert capsys.readouterr().err == (
        "esquirell: there is no command 'redings'; did you mean 'readings'? "
        "(see esquirell --help)\n"
    )


@pytest.mark.parametrize(("word", "command"), SYNONYMS.items())
def test_the_words_of_other_programs_are_answered_with_ours(
    capsys: pytest.CaptureFixture[str], word: str, command: str
) -> None:
    assert errors.run([word]) == 2
    said = capsys.readouterr().err
    assert f"there is no command {word!r}; did you mean {command!r}?" in " ".join(said.split())
    assert errors.run([*command.split(), "--help"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bogus"], "there is no command 'bogus' (see esquirell --help)"),
        (
            ["meters", "lst"],
            "there is no command 'lst'; did you mean 'list'? (see esquirell meters --help)",
        ),
        (["profiles", "xyzzy"], "there is no command 'xyzzy' (see esquirell profiles --help)"),
    ],
)
def test_nothing_is_suggested_that_is_not_alike(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert errors.run(words) == 2
    assert capsys.readouterr().err == f"esquirell: {sentence}\n"


def test_bash_completes_the_names_of_meters(home: Home, tmp_path: Path) -> None:
    home.configure(meter(), meter("plug"))
    assert complete("meters", "test", "pl", folder=tmp_path) == ["plug"]
    assert complete("readings", "main", "p", folder=tmp_path) == ["plug"]
    assert complete("schedule", "set", "fetch", "--meter", "m", folder=tmp_path) == ["main"]


def test_names_and_numbers_are_never_broken(home: Home) -> None:
    names = ["heat-pump-in-the-cellar-of-number-twelve", "pv"]
    home.configure(*map(meter, names))
    home.store()
    for width in (60, 80, 120):
        shown = in_terminal(width, "meters", "list")
        assert set(names) <= set(shown.split())
        assert max(map(len, shown.splitlines())) <= width


def test_a_long_label_is_no_column_of_single_words(home: Home) -> None:
    label = "Flat 12, second floor on the left"
    home.configure(meter("flat-12", label=f'label = "{label}"', area='area = "House 1"'))
    lines = [line.strip() for line in in_terminal(60, "meters", "list").splitlines()]
    assert any(line.split(maxsplit=1) == ["label", label] for line in lines)


def test_an_interval_keeps_its_unit_on_the_same_line(home: Home) -> None:
    home.configure(meter())
    home.store()
    for width in range(50, 80, 3):
        assert "every 60 s" in in_terminal(width, "schedule", "list")


def test_what_others_sent_is_shown_and_does_not_act(home: Home) -> None:
    home.configure(meter())
    zone, acting = "\x1b[31mU\u202e", re.compile("\x1b\\[31m|\u202e")
    refused = ("schedule", "add", "x", "--cron", "* * * * *", "--timezone", zone)
    for words in (refused, ("log",)):
        with Terminal([sys.executable, "-m", "esquirell", *words], 100) as terminal:
            terminal.finish()
        assert "\\x1b[31mU\\u202e" in terminal.text
        assert not acting.search(terminal.text)


def test_sentences_are_wrapped_between_words(home: Home) -> None:
    home.configure(meter())
    shown = in_terminal(50, "meters", "test", "x")
    lines = shown.splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 50
    assert "there is no meter 'x'; known: main (see esquirell" in " ".join(shown.split())


def test_the_completion_is_installed_with_the_service(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.shipped()[layout.completion] == COMPLETION
    assert "usr/share/bash-completion/completions/esquirell" in (
        ROOT / "packaging" / "deb" / "build"
    ).read_text(encoding="utf-8")


def test_slow_work_shows_its_elapsed_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with working("Reading main", after_s=0.01, every_s=0.01):
        shown = eventually(lambda: capsys.readouterr().err)
    assert "Reading main … 0 s" in shown
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_quick_work_shows_no_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with working("Reading main"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        (">&-", 0, ""),
        ("<&- >&-", 0, ""),
        (">/dev/full", 1, "no space is left"),
        (">/dev/full 2>&1", 1, ""),
        ("| head -1 >/dev/null", 0, ""),
    ],
)
def test_what_becomes_of_the_output_is_no_unexpected_error(
    redirection: str, code: int, says: str
) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m esquirell profiles list {redirection}"
    # As users have it: what is printed is buffered.
    environment = {name: at for name, at in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr if says else not done.stderr
    assert len(done.stderr.splitlines()) == bool(says)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the program that a test may damage."""
    return shutil.copytree(Path(esquirell.__file__).parent, tmp_path / "copy" / "esquirell")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda package: (package / "profiles/layouts.json").unlink(), "layouts.json: No such"),
        (lambda package: (package / "profiles/layouts.json").write_text(""), "layouts.json: Exp"),
        (lambda package: (package / "profiles/plug.toml").write_bytes(b"\xff"), "plug.toml: 'utf"),
        (lambda package: (package / "profiles/capture.py").unlink(), "esquirell.profiles.capture"),
    ],
)
def test_a_damaged_installation_is_named_in_one_sentence(
    installed: Path, tmp_path: Path, damage: Callable[[Path], None], named: str
) -> None:
    damage(installed)
    answer = tmp_path / "answer.json"
    answer.write_text('{"product_id": "unknown", "dps": {"18": 500, "19": 1100, "20": 2300}}')
    command = [sys.executable, "-m", "esquirell", "profiles", "try", str(answer)]
    done = subprocess.run(
        command, cwd=installed.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "this installation is damaged" in done.stderr
    assert named in done.stderr
    assert done.stderr.endswith("install esquirell again\n")


def test_a_foreign_module_that_is_missing_is_no_damage(installed: Path, tmp_path: Path) -> None:
    """A driver that a setting names, such as boto3 of kombu's SQS, is none of our requirements."""
    with (installed / "profiles/capture.py").open("a") as module:
        module.write("import a_driver_of_others\n")
    answer = tmp_path / "answer.json"
    answer.write_text('{"dps": {"18": 500, "19": 1100, "20": 2300}}')
    command = [sys.executable, "-m", "esquirell", "profiles", "try", str(answer)]
    done = subprocess.run(
        command, cwd=installed.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "an unexpected error: ModuleNotFoundError: No module named 'a_d" in done.stderr


@pytest.mark.parametrize(
    ("module", "required"),
    [
        ("esquirell.profiles.capture", True),
        ("kombu.transport.redis", True),
        ("redbeat", True),
        ("paho.mqtt", True),
        ("tuya_sharing", True),
        ("vine", True),  # of celery
        ("dateutil.rrule", True),  # of celery, from python-dateutil
        ("boto3", False),
        ("pymysql", False),
        ("psycopg", False),  # an extra
        ("pytest", False),
        ("", False),
    ],
)
def test_an_installation_consists_of_its_requirements(module: str, required: bool) -> None:
    assert is_required(module) is required


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1250"])
def test_any_encoding_of_the_terminal_will_do(
    home: Home, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(meter("main", 1, label='label = "Zähler 10 °C ✓"'))
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    command = [sys.executable, "-m", "esquirell"]
    with Terminal([*command, "doctor"]) as terminal:
        terminal.finish()
    assert "unexpected" not in terminal.text
    assert "system: Linux" in terminal.text
    assert "redis: " in terminal.text
    shown = subprocess.run(
        [*command, "meters", "show", "main", "--json"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert json.loads(shown)["configuration"]["label"] == "Zähler 10 °C ✓"
