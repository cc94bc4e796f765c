"""Notifications to systemd."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rounds import Rounds
from support.waiting import LIMIT_S

from esquirell.daemon.notify import notify, sign_of_life_every_s, still_starting
from esquirell.daemon.parts import ServicePart
from esquirell.daemon.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd receives notifications."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path))
        bound.settimeout(LIMIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield bound


def test_systemd_is_notified(systemd: socket.socket) -> None:
    notify("READY=1")
    assert systemd.recv(100) == b"READY=1"


def test_a_start_that_takes_longer_is_granted_more_time(systemd: socket.socket) -> None:
    still_starting("waiting for the database", 120)
    said = systemd.recv(100)
    assert said == b"EXTEND_TIMEOUT_USEC=120000000\nSTATUS=waiting for the database"


@pytest.mark.parametrize(
    ("limit_us", "pid", "pause_s"),
    [("", "", 5.0), ("60000000", "", 5.0), ("3000000", "", 1.5), ("3000000", "1", 5.0)],
)
def test_the_watchdog_is_notified_twice_as_often_as_required(
    limit_us: str, pid: str, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit_us)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert sign_of_life_every_s(5.0) == pause_s


def test_systemd_learns_that_all_parts_go_on(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    watchdog = Watchdog([ServicePart("it", Rounds())], [], lambda: "up as beat")
    watchdog.start()
    said = systemd.recv(100)
    watchdog.stop()
    assert said == b"WATCHDOG=1\nSTATUS=up as beat"


def test_without_systemd_nothing_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
