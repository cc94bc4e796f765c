"""The map for contributors is the code's own."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_package_is_on_it() -> None:
    packages = {file.parent.name for file in (ROOT / "esquirell").glob("*/__init__.py")}
    named = set(re.findall(r"^\| `esquirell/(\w+)` \|", MAP, re.MULTILINE))
    assert packages == named


def test_every_file_on_it_is_there() -> None:
    named = set(re.findall(r"`((?:esquirell|config|tests|docs)/[\w./-]+)`", MAP + GUIDE))
    assert len(named) > 30
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", MAP + GUIDE))
    assert named
    assert named <= targets
