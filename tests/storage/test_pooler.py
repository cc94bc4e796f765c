"""PostgreSQL behind PgBouncer, which has each transaction on any of its connections."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.db_postgres import PASSWORD, USER, PostgresServer
from support.db_samples import sample
from support.ports import free_port
from support.waiting import eventually

from esquirell.domain.errors import UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.claim import Claim
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture
def pooled(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database behind a pooler."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    folder, port, name = Path(f"/tmp/pooler-{free_port()}"), free_port(), postgres.new_database()  # noqa: S108 - others may enter it
    folder.mkdir(mode=0o755)
    (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
    (folder / "pooler.ini").write_text(
        SETTINGS.format(server=postgres.port, port=port, folder=folder)
    )
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    command = [PROGRAM, "-q", str(folder / "pooler.ini")]
    process = subprocess.Popen(command, user=user, group=user, extra_groups=[] if user else None)
    url = postgres.url(name).replace(f":{postgres.port}/", f":{port}/")
    try:
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def test_two_clients_store_readings_in_turn(pooled: str) -> None:
    """psycopg prepares what it has run five times, under names that both clients use."""
    databases = [Database(pooled) for _ in range(2)]
    eventually(lambda: _answers(databases[0]), what="PgBouncer answers")
    ensure_current(databases[0])
    for second in range(16):
        Readings(databases[second % 2]).add([sample("main", second)], {})
    with databases[0].read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM reading")) == 16
    for database in databases:
        database.close()


def test_a_service_that_was_killed_leaves_no_claim_in_the_pool(pooled: str) -> None:
    killed, other, next_one = (Database(pooled) for _ in range(3))
    eventually(lambda: _answers(killed), what="PgBouncer answers")
    assert Claim(killed).hold()
    killed.close()
    with other.connect() as connection:
        # One connection of the pool is busy: the other one is asked.
        connection.execute(text("SELECT 1"))
        assert Claim(next_one).hold()
    other.close()
    next_one.close()


def _answers(database: Database) -> bool:
    try:
        with database.connect():
            return True
    except UnavailableError:
        return False
