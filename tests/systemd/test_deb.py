"""What the Debian package says and does, by its files."""

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from support.waiting import LIMIT_S

from esquirell.cli.systemd.layout import CONFIGURATION, STATE

ROOT = Path(__file__).parents[2]
FILES = ROOT / "packaging" / "deb"
SCRIPTS = ("postinst", "prerm", "postrm")


def read(name: str) -> str:
    return (FILES / "DEBIAN" / name).read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_shell_that_stops_at_failures(name: str) -> None:
    assert read(name).startswith("#!/bin/sh\nset -e\n")
    subprocess.run(["/bin/sh", "-n", str(FILES / "DEBIAN" / name)], check=True, timeout=LIMIT_S)


def test_the_build_is_shell_and_can_be_run() -> None:
    build = FILES / "build"
    assert build.stat().st_mode & 0o111
    subprocess.run(["/bin/bash", "-n", str(build)], check=True, timeout=LIMIT_S)


@pytest.mark.skipif(not shutil.which("dpkg"), reason="dpkg compares versions")
def test_a_later_build_is_newer_for_apt_and_an_older_one_without_a_time_is_older() -> None:
    lines = re.findall(r"^(?:stamp|version)=.*$", (FILES / "build").read_text(), re.MULTILINE)
    versions = [
        subprocess.run(
            ["/bin/bash", "-ec", "\n".join([*lines, "echo $version"])],
            env=os.environ | {"debian": "12", "SOURCE_DATE_EPOCH": str(moment)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        ).stdout.strip()
        for moment in (1_796_000_000, 1_796_000_001)
    ]
    for older, newer in pairwise([versions[0].partition("u")[0], *versions]):
        command = ["/usr/bin/dpkg", "--compare-versions", older, "lt", newer]
        subprocess.run(command, check=True, timeout=LIMIT_S)


@pytest.mark.parametrize(("suite", "architecture"), [("sid", "amd64"), ("trixie", "armhf")])
def test_what_can_not_be_built_is_refused(suite: str, architecture: str) -> None:
    done = subprocess.run(
        [str(FILES / "build"), suite, architecture],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert "packages are made for" in done.stderr


def test_all_that_a_control_file_has_to_say_is_said() -> None:
    fields = set(re.findall(r"^([A-Z][A-Za-z-]+):", read("control"), re.MULTILINE))
    assert fields >= {
        *("Package", "Version", "Architecture", "Maintainer", "Installed-Size", "Depends"),
        *("Section", "Priority", "Description"),
    }
    (summary,) = re.findall(r"^Description: (.*)$", read("control"), re.MULTILINE)
    assert len(summary) < 80


def test_each_place_holder_is_filled_in() -> None:
    filled = set(re.findall(r"s\|(@[A-Z_]+@)\|", (FILES / "build").read_text()))
    texts = [read(name) for name in ("control", *SCRIPTS)] + [(FILES / "esquirell").read_text()]
    assert set(re.findall(r"@[A-Z_]+@", "".join(texts))) == filled


def test_configuration_and_data_go_only_when_purged() -> None:
    removal = f"rm -rf {CONFIGURATION.parent} {STATE}"
    before, _, after = read("postrm").partition("purge)")
    assert (
        f"{CONFIGURATION.parent} and the readings in {STATE} stay until: sudo apt purge" in before
    )
    assert removal in after
    assert removal not in before + read("prerm") + read("postinst")
    assert read("conffiles").splitlines() == [f"{CONFIGURATION.parent}/esquirell.example.toml"]
