"""PostgreSQL behind PgBouncer, which has each transaction on any of its connections."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
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
LIMITS = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
HOLDER = """
import sys
from esquirell.storage.database import Database
from esquirell.storage.maintenance.claim import Claim
claim = Claim(Database(sys.argv[1]))
print(claim.hold(), claim.hold(), flush=True)
sys.stdin.read()
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


def test_another_program_of_the_pool_keeps_its_limits_and_ours_apply_anyway(pooled: str) -> None:
    ours = Database(pooled)
    eventually(lambda: _answers(ours), what="PgBouncer answers")
    theirs = [psycopg.connect(pooled.replace("+psycopg", "")) for _ in range(2)]
    # Each has one of the two connections until its transaction ends.
    for one in theirs:
        assert one.execute(LIMITS).fetchone() == ("0", "0")
    for one in theirs:
        one.rollback()
        with ours.read() as connection:
            assert tuple(connection.execute(text(LIMITS)).one()) == ("1min", "10s")
            assert connection.scalar(text("SHOW timezone")) == "UTC"
        assert one.execute(LIMITS).fetchone() == ("0", "0")
    for one in theirs:
        one.close()
    ours.close()


def test_a_second_service_is_refused_until_the_first_is_killed(
    postgres: PostgresServer, pooled: str
) -> None:
    databases = [Database(pooled), Database(postgres.url(pooled.rpartition("/")[2]))]
    eventually(lambda: _answers(databases[0]), what="PgBouncer answers")
    others = [Claim(database) for database in databases]
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, pooled], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert first.stdout
    assert first.stdout.readline() == b"True True\n"
    assert [other.hold() for other in others] == [False, False]
    first.kill()
    first.communicate()
    for other in others:
        assert eventually(other.hold)
        assert other.hold()
        other.release()
    for database in databases:
        database.close()


def test_a_claim_that_the_pooler_lost_is_taken_again(postgres: PostgresServer, pooled: str) -> None:
    database = Database(pooled)
    eventually(lambda: _answers(database), what="PgBouncer answers")
    claim = Claim(database)
    assert claim.hold()
    postgres.cut_connections(pooled.rpartition("/")[2])
    assert eventually(lambda: _holds(claim))
    claim.release()
    database.close()


def _holds(claim: Claim) -> bool:
    try:
        return claim.hold()
    except UnavailableError:
        return False


def _answers(database: Database) -> bool:
    try:
        with database.connect():
            return True
    except UnavailableError:
        return False
