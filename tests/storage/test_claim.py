import subprocess
import sys
from pathlib import Path

from support.db_postgres import PostgresServer

from esquirell.storage.database import Database
from esquirell.storage.maintenance.claim import Claim


def test_one_of_two_sessions_holds_the_claim(postgres_url: str) -> None:
    first, second = Database(postgres_url), Database(postgres_url)
    ours, theirs = Claim(first), Claim(second)
    assert ours.hold()
    assert not theirs.hold()
    assert ours.hold()
    ours.release()
    assert theirs.hold()
    assert not ours.hold()
    theirs.release()
    first.close()
    second.close()


def test_a_claim_that_was_lost_is_taken_again(postgres: PostgresServer, postgres_url: str) -> None:
    database = Database(postgres_url)
    claim = Claim(database)
    assert claim.hold()
    postgres.cut_connections(postgres_url.rpartition("/")[2])
    other_database = Database(postgres_url)
    other = Claim(other_database)
    assert other.hold()
    assert not claim.hold()
    other.release()
    assert claim.hold()
    claim.release()
    other_database.close()
    database.close()


def test_sqlite_needs_no_claim(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    assert Claim(database).hold()
    assert Claim(database).hold()
    assert database.file is not None
    assert not database.file.exists()


def test_a_second_service_on_the_same_database_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    database = Database(postgres_url)
    claim = Claim(database)
    assert claim.hold()
    config = tmp_path / "esquirell.toml"
    config.write_text(
        f'timezone = "UTC"\nredis.url = "embedded"\ndatabase.url = "{postgres_url}"\n'
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "esquirell", "--config", str(config), "run"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another service uses this database" in second.stderr
    assert "Traceback" not in second.stderr
    claim.release()
    database.close()
