"""What a service does not load, as it would stay in memory for months."""

import os
import subprocess
import sys
from pathlib import Path


def test_no_pool_of_processes_is_loaded_for_a_worker_with_threads(tmp_path: Path) -> None:
    """Celery imports it in every worker, to replace its lock."""
    config = tmp_path / "esquirell.toml"
    config.write_text('redis.url = "redis://127.0.0.1:1/0"\n', encoding="utf-8")
    program = """
import sys
from types import SimpleNamespace
from esquirell.celery import app
from esquirell.daemon import process
from esquirell.daemon.pools import Pool
from kombu.asynchronous.semaphore import DummyLock
runtime, role = SimpleNamespace(app=app), SimpleNamespace(queues=["polls"])
process.build_worker(runtime, role, Pool("threads", 1), "worker@threads")
assert "billiard.pool" not in sys.modules
process.build_worker(runtime, role, Pool("prefork", 1), "worker@processes")
assert sys.modules["billiard.pool"].Lock is DummyLock
"""
    environment = os.environ | {"ESQUIRELL_CONFIG": str(config)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)
