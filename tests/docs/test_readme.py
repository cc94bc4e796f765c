"""The README and the other pages, checked against the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.version import Version
from support.waiting import LIMIT_S

from esquirell.cli.commands import COMMANDS
from esquirell.mqtt.topics import Topics

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DECISIONS = (ROOT / "docs" / "decisions.md").read_text()
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text()


def test_every_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"bin/esquirell ([a-z]+)", README))
    assert named
    assert named <= set(COMMANDS)


def test_the_topics_of_the_readme_are_those_of_the_code() -> None:
    topics = Topics()
    listed = set(re.findall(r"\| `(esquirell/[^`]+)` \|", README))
    assert listed == {
        topics.meter_state("<name>"),
        topics.meter_availability("<name>"),
        topics.schedule_state("<name>"),
        topics.bridge_state,
        topics.bridge_health,
        topics.bridge_info,
        topics.bridge_event,
    }


def test_issue_forms_ask_for_what_a_command_shows() -> None:
    for form in FORMS:
        text = form.read_text()
        named = re.findall(r"`esquirell ([a-z]+)", text)
        assert named
        assert set(named) <= set(COMMANDS)
        asked = yaml.safe_load(text)["body"]
        assert len(asked) == len({part.get("id") for part in asked})
    assert len(FORMS) == 2


def test_links_of_the_security_policy_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "SECURITY.md").read_text())
    assert links
    assert all((ROOT / link).exists() for link in links)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.parametrize("script", ["demo", "test"])
def test_the_two_scripts_exist_and_are_executable(script: str) -> None:
    assert f"```sh\nscript/{script}\n```" in README
    path = ROOT / "script" / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["/bin/sh", "-n", str(path)], check=True, timeout=LIMIT_S)


@pytest.mark.parametrize(
    ("version", "answer"),
    [("3.10", "is too old"), ("3.11", ""), ("3.14", ""), ("3.15", "is too new")],
)
def test_the_scripts_say_which_python_they_need(tmp_path: Path, version: str, answer: str) -> None:
    """By the versions that pip accepts, whose own message names neither a remedy nor the system."""
    python = tmp_path / "python"
    pretended = f"import sys; sys.version_info = ({version.replace('.', ', ')})"
    python.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo Python; exit; }\n'
        f'exec {sys.executable} -c "{pretended}\n$2"\n'
    )
    python.chmod(0o700)
    said = subprocess.run(
        ["/bin/sh", "-c", ". script/lib.sh; need_python"],
        cwd=ROOT,
        env={"PYTHON": str(python), "PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (said.returncode == 0) == (not answer)
    assert answer in said.stderr
    lowest, beyond = map(Version, re.findall(r"requires-python = .>=(.*),<(.*)\"", PROJECT)[0])
    assert (said.returncode == 0) == (lowest <= Version(version) < beyond)


def test_every_dependency_has_its_reason() -> None:
    (listed,) = re.findall(r"\ndependencies = \[(.*?)\n\]", PROJECT, re.DOTALL)
    names = re.findall(r'"([a-z-]+)', listed)
    assert len(names) > 8
    for name in names:
        assert re.search(rf"^\|[^|]*\b{name}\b", DECISIONS, re.MULTILINE), name


WITH_SECRETS = (
    *("esquirell.toml", "main.key", "mqtt-password", "data/web-password"),
    *("config/esquirell.toml", "config/main.key", "config/mqtt-password", "config/devices.json"),
    *("devices.json", "snapshot.json", "tinytuya.json", "tuya-raw.json"),
)


def test_no_file_with_a_secret_can_slip_into_a_commit(tmp_path: Path) -> None:
    """Those of `init` and of tinytuya's wizard, where the README and the guides put them."""
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    git = ("git", "-C", str(tmp_path))
    subprocess.run([*git, "init", "--quiet"], check=True, timeout=LIMIT_S)
    ignored = subprocess.run(
        [*git, "check-ignore", *WITH_SECRETS], check=False, timeout=LIMIT_S, capture_output=True
    )
    assert ignored.stdout.decode().split() == list(WITH_SECRETS)
