"""The simulated meters of docker compose."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

from esquirell.demo import meters
from esquirell.settings import load


@pytest.fixture
def kept(tmp_path: Path) -> None:
    """A folder that was used before, with meters on ports that are free here."""
    tables = meters._new(tmp_path / meters.KEPT, "127.0.0.1")
    text = (tmp_path / meters.KEPT).read_text()
    for table in tables["meters"]:
        text = text.replace(f"port = {table['port']}\n", f"port = {free_port()}\n", 1)
    (tmp_path / meters.KEPT).write_text(text)


@pytest.mark.usefixtures("kept")
def test_others_can_be_configured_from_it_while_it_runs(tmp_path: Path) -> None:
    configuration = tmp_path / meters.CONFIGURATION
    assert not meters.served(tmp_path)
    with meters.serving(tmp_path, "127.0.0.1"):
        assert meters.served(tmp_path)
        settings = load(configuration, {"TZ": "UTC"})
        assert [meter.protocol for meter in settings.meters] == ["3.3", "3.4", "3.5"]
        assert configuration.stat().st_mode & 0o077 == 0
    assert not configuration.exists()
    assert not meters.served(tmp_path)


@pytest.mark.usefixtures("kept")
def test_keys_outlast_a_restart(tmp_path: Path) -> None:
    with meters.serving(tmp_path, "127.0.0.1") as first:
        pass
    with meters.serving(tmp_path, "127.0.0.1") as second:
        assert second == first


@pytest.mark.usefixtures("kept")
def test_it_ends_when_asked_and_takes_its_configuration_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "esquirell.demo.meters", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    eventually(lambda: meters.served(tmp_path))
    checked = subprocess.run([*command, "--check"], timeout=LIMIT_S, check=False)
    assert checked.returncode == 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0
    assert not (tmp_path / meters.CONFIGURATION).exists()
