"""The simulated meters of docker compose."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

from esquirell.demo import meters
from esquirell.settings import load

COMMAND = (sys.executable, "-m", "esquirell.demo.meters")


@pytest.fixture
def kept(tmp_path: Path) -> None:
    """A folder that was used before, with meters on ports that are free here."""
    tables = meters.create(tmp_path / meters.KEPT, "127.0.0.1")
    text = (tmp_path / meters.KEPT).read_text()
    for port, table in enumerate(tables["meters"], three_free_ports()):
        text = text.replace(f"port = {table['port']}\n", f"port = {port}\n", 1)
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
def test_no_energy_flows_while_they_do_not_run(tmp_path: Path) -> None:
    kept, alive = tmp_path / meters.KEPT, tmp_path / meters.ALIVE
    alive.touch()
    now = time.time()
    os.utime(kept, (now - 600, now - 600))
    os.utime(alive, (now - 400, now - 400))
    _, began = meters.prepare(tmp_path, "127.0.0.1")
    assert time.time() - began == pytest.approx(200, abs=30)
    alive.touch()
    assert meters.prepare(tmp_path, "127.0.0.1")[1] == pytest.approx(began, abs=30)


@pytest.mark.usefixtures("kept")
def test_it_ends_when_asked_and_takes_its_configuration_with_it(tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    eventually(lambda: meters.served(tmp_path))
    checked = subprocess.run([*command, "--check"], timeout=LIMIT_S, check=False)
    assert checked.returncode == 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0
    assert not (tmp_path / meters.CONFIGURATION).exists()


@pytest.mark.usefixtures("kept")
def test_the_ports_can_be_chosen(tmp_path: Path) -> None:
    first = three_free_ports()
    with meters.serving(tmp_path, "127.0.0.1", first) as tables:
        assert [table["port"] for table in tables["meters"]] == [first, first + 1, first + 2]
        assert meters.served(tmp_path)


def three_free_ports() -> int:
    """Return the first of three ports in a row on which nothing listens."""
    return next(
        first
        for first in (free_port() for _ in range(100))
        if not {first, first + 1, first + 2} & meters.ports_in_use() and first < 65_533
    )


def test_a_taken_port_and_a_bad_folder_are_one_sentence_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        for folder, sentence in {
            "new/folder": f"can't listen on port {port}: Address already in use: stop what uses",
            "file": f"{tmp_path / 'file'}: File exists: name another folder",
        }.items():
            done = subprocess.run(
                [*COMMAND, str(tmp_path / folder), "--port", str(port)],
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            assert done.returncode == 1
            assert sentence in done.stderr
            assert done.stderr.count("\n") == 1
