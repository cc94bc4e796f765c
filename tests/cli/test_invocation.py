import os
import subprocess
import sys
from pathlib import Path

import pytest

from esquirell.cli.invocation import PROGRAM_VARIABLE, as_typed, password_command, program
from esquirell.settings.environment import read

HINT = "start it: esquirell run, or `esquirell worker`; esquirell itself is fine"


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a virtual environment that is not on the path."""
    file = tmp_path / "bin" / "esquirell"
    file.parent.mkdir()
    file.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(file)])
    monkeypatch.setenv("PATH", "/usr/bin")
    return file


def test_commands_are_named_as_they_can_be_typed(called: Path) -> None:
    assert program() == [str(called)]
    assert as_typed(HINT) == (
        f"start it: {called} run, or `{called} worker`; esquirell itself is fine"
    )


def test_text_that_is_no_command_stays(called: Path) -> None:
    for text in (
        "esquirell: stopped",
        f"{called} run",
        "sudo esquirell doctor",
        "systemctl start esquirell",
        "esquirell/meter/main/state",
    ):
        assert as_typed(text) == text


def test_a_path_with_a_space_can_be_copied(
    called: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = called.parent.rename(tmp_path / "my bin")
    monkeypatch.setattr(sys, "argv", [str(folder / "esquirell")])
    assert as_typed("esquirell run") == f"'{folder}/esquirell' run"


def test_a_configuration_that_was_named_is_named_again(
    called: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for option in (["--config", "my house.toml"], ["run", "--config=my house.toml"]):
        monkeypatch.setattr(sys, "argv", [str(called), *option])
        assert as_typed("esquirell db upgrade") == f"{called} --config 'my house.toml' db upgrade"
        # These need none.
        for text in ("esquirell init", "esquirell db upgrade --help", "esquirell --help"):
            assert as_typed(text) == text.replace("esquirell", str(called))


def test_visitors_see_how_the_password_is_shown_but_no_path_of_this_machine(
    called: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert password_command() == "esquirell web password"
    monkeypatch.chdir(called.parent.parent)
    monkeypatch.setattr(sys, "argv", ["bin/esquirell", "--config", "house.toml", "run"])
    assert password_command() == "bin/esquirell --config house.toml web password"


def test_in_a_container_the_command_from_outside_is_named(
    called: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(called)])
    monkeypatch.setenv(PROGRAM_VARIABLE, "docker compose exec worker esquirell")
    assert as_typed("start it: esquirell doctor") == (
        "start it: docker compose exec worker esquirell doctor"
    )
    assert not list(read(os.environ))


def test_on_the_path_the_name_is_enough(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(called.parent))
    assert as_typed(HINT) == HINT


def test_another_one_on_the_path_is_not_meant(
    called: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "esquirell"
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert as_typed("esquirell run") == f"{called} run"


def test_errors_and_hints_of_the_real_program_can_be_typed(tmp_path: Path) -> None:
    installed = Path(sys.executable).parent / "esquirell"
    done = subprocess.run(
        [installed, "health"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(f" {installed} init\n")


def test_an_interruption_while_the_program_is_loaded_is_one_sentence(tmp_path: Path) -> None:
    """Ctrl-C, as it arrives when a library is being loaded."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "esquirell", "meters", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "esquirell: stopped\n")
