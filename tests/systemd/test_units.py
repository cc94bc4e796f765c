"""The units themselves, by their text and by systemd's own tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from esquirell.cli.systemd.layout import CONFIGURATION, PROGRAM, SHIPPED, STATE
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, FLOWER, ROLES, UNITS
from esquirell.settings.secret_files import CREDENTIALS, PREFIX

SERVICES = sorted(path.name for path in SHIPPED.glob("*.service"))
LONG_RUNNING = (ALL_IN_ONE, *ROLES, FLOWER)
# systemd-analyze counts tenths: 20 is an exposure of 2.0.
EXPOSURE = "20"
LIMIT_S = 60

ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def keys(unit: str) -> dict[str, list[str]]:
    """Return the values of each key, in their order."""
    found: dict[str, list[str]] = {}
    for line in (SHIPPED / unit).read_text().splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def sandbox(unit: str) -> str:
    text = (SHIPPED / unit).read_text()
    begin = text.index("# What it may do")
    return text[begin:].partition("\n[Install]")[0].strip()


def test_all_units_are_known_to_the_program() -> None:
    there = {path.name for path in SHIPPED.glob("esquirell*.*")}
    assert there == set(UNITS)


@pytest.mark.parametrize("unit", SERVICES)
def test_all_are_shut_in_alike(unit: str) -> None:
    assert sandbox(unit) == sandbox(ALL_IN_ONE)
    assert keys(unit)["User"] == ["esquirell"]


@pytest.mark.parametrize("unit", SERVICES)
def test_program_secrets_and_state_are_where_the_installation_puts_them(unit: str) -> None:
    found = keys(unit)
    assert found["ExecStart"][0].startswith(f"{PROGRAM} --config {CONFIGURATION} ")
    credentials = CONFIGURATION.parent / CREDENTIALS
    assert found["LoadCredential"] == [f"{PREFIX.removesuffix('_')}:{credentials}"]
    assert found["StateDirectory"] == [STATE.name]
    assert found["WorkingDirectory"] == [str(CONFIGURATION.parent)]


@pytest.mark.parametrize("unit", UNITS)
def test_nothing_starts_without_a_configuration(unit: str) -> None:
    assert keys(unit)["ConditionPathExists"] == [str(CONFIGURATION)]


@pytest.mark.parametrize("unit", LONG_RUNNING)
def test_units_restart_for_ever(unit: str) -> None:
    found = keys(unit)
    assert found["Restart"] == ["always"]
    assert found["StartLimitIntervalSec"] == ["0"]
    assert found["KillMode"] == ["mixed"]
    assert found["TimeoutStopSec"] == ["30"]


@pytest.mark.parametrize("unit", LONG_RUNNING)
def test_they_are_watched(unit: str) -> None:
    found = keys(unit)
    assert found["Type"] == ["notify"]
    assert int(found["WatchdogSec"][0]) >= 30


def test_all_in_one_and_apart_exclude_each_other() -> None:
    assert keys(ALL_IN_ONE)["Conflicts"] == [APART]
    assert keys(APART)["Conflicts"] == [ALL_IN_ONE]
    assert keys(APART)["Wants"] == [" ".join(ROLES)]
    assert all(APART in keys(role)["PartOf"] for role in ROLES)
    assert all("esquirell-migrate.service" in keys(role)["After"] for role in ROLES)


@pytest.mark.parametrize("unit", SERVICES)
def test_memory_is_for_a_machine_with_a_gigabyte(unit: str) -> None:
    (limit,) = keys(unit)["MemoryMax"]
    assert int(limit.removesuffix("M")) <= 384


@pytest.mark.parametrize("unit", SERVICES)
def test_comments_are_on_lines_of_their_own(unit: str) -> None:
    # systemd takes a # behind a value for a part of it.
    assert not re.search(r"^[A-Za-z]+=.*[ \t]#", (SHIPPED / unit).read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the units, and programs at the places that they name."""
    root = tmp_path_factory.mktemp("root")
    units = root / "etc/systemd/system"
    shutil.copytree(SHIPPED, units, ignore=shutil.ignore_patterns("*.d"))
    for program in (PROGRAM, Path("/bin/kill"), Path("/usr/bin/systemd-tmpfiles")):
        place = root / str(program).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    return root


def analyze(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ANALYZE), f"--root={root}", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@needs_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_each_line(root: Path, unit: str) -> None:
    done = analyze(root, "verify", "--man=no", "--recursive-errors=no", unit)
    # Units of the system itself are not in this root.
    said = [line for line in done.stderr.splitlines() if "esquirell" in line]
    assert said == []


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_is_exposed_less_than_two(root: Path, unit: str) -> None:
    done = analyze(root, "security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Overall exposure level for {unit}" in done.stdout


def test_the_folders_are_those_of_the_program() -> None:
    text = (SHIPPED / "tmpfiles.d/esquirell.conf").read_text()
    places = {line.split()[1] for line in text.splitlines() if not line.startswith("#")}
    assert places == {
        str(CONFIGURATION.parent),
        f"{CONFIGURATION.parent}/{CREDENTIALS}",
        str(STATE),
    }
