"""Another root, in which the service is installed without touching this machine."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.cli import Home

from esquirell.cli.systemd.layout import Layout

TOOLS = ("systemd-sysusers", "systemd-tmpfiles", "systemctl")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking or os.geteuid() != 0:
        pytest.skip(f"another root is prepared by root, with systemd's tools; lacking: {lacking}")
    (tmp_path / "root").mkdir()
    return Layout(tmp_path / "root")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The folder in which a user has tried a configuration."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Home(folder, folder / "no tables")


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python that environments are made from, wherever it lies here."""
    return Path(sys.base_prefix) / "bin" / Path(sys.executable).resolve().name
