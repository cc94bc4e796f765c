"""Limits of the system: raised as far as they may be, and said where nothing works with them."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from esquirell.daemon.celery_worker import Consumer
from esquirell.daemon.resources import LEAST_FILES, LEAST_SPACE, MIB

ASK = """
import resource
from esquirell.daemon.resources import check_limits
resource.setrlimit(resource.{limit}, ({soft}, {hard}))
check_limits({meters})
print(*resource.getrlimit(resource.{limit}))
"""


def after(limit: str, soft: int, hard: int, meters: int = 1) -> tuple[str, str]:
    """Start a process with a limit, as one can't raise it again; return what it prints."""
    text = ASK.format(limit=limit, soft=soft, hard=hard, meters=meters)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    assert after("RLIMIT_NOFILE", 256, 1024) == ("1024 1024", "")


def test_a_limit_that_is_high_already_stays() -> None:
    assert after("RLIMIT_NOFILE", 1024, 1024) == ("1024 1024", "")


def test_too_few_files_for_these_meters() -> None:
    printed, said = after("RLIMIT_NOFILE", 256, 256, meters=300)
    assert printed == "256 256"
    assert "may open 256 files, and 300 meters need 664: some will not be read" in said
    assert "LimitNOFILE=" in said


def test_too_few_files_for_anything() -> None:
    printed, said = after("RLIMIT_NOFILE", LEAST_FILES - 1, LEAST_FILES - 1)
    assert (printed, "ConfigError" in said) == ("", True)
    assert f"may open {LEAST_FILES - 1} files and needs {LEAST_FILES} at least" in said


def test_too_little_address_space() -> None:
    printed, said = after("RLIMIT_AS", LEAST_SPACE - MIB, LEAST_SPACE - MIB)
    assert (printed, "ConfigError" in said) == ("", True)
    assert "may use 1535 MiB of address space and needs 1536" in said


@pytest.mark.parametrize("limit", ["ulimit -v 700000", "ulimit -n 40"])
def test_a_service_says_it_in_one_sentence(limit: str, tmp_path: Path) -> None:
    config = tmp_path / "esquirell.toml"
    config.write_text('timezone = "UTC"\nredis.url = "embedded"\nweb.port = 0\n')
    config.chmod(0o600)
    command = f"{limit}; exec {sys.executable} -m esquirell --config {config} run"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert done.returncode == 2
    assert "raise the limit" in sentence


def no_files(_: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def test_celery_connects_again_after_a_time_without_open_files() -> None:
    """At EMFILE itself it ends the process."""
    steps = [SimpleNamespace(start=no_files, alias="connection")]
    parent: Any = SimpleNamespace(steps=steps)
    with pytest.raises(ConnectionError, match="Too many open files") as caught:
        Consumer.Blueprint().start(parent)
    connection = Celery(broker="redis://").connection_for_read()
    assert isinstance(caught.value, connection.connection_errors)
    assert caught.value.errno != errno.EMFILE
