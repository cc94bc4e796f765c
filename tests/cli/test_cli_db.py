from collections.abc import Iterator

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import sample
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, connect
from esquirell.broker.processes import Presence
from esquirell.daemon.lock import RunLock
from esquirell.domain.process import Process
from esquirell.storage.maintenance.revision import HEAD

ALWAYS = ("--since", "2026-01-01", "--json")


@pytest.fixture
def lock(home: Home) -> Iterator[RunLock]:
    lock = RunLock(home.database.with_name("esquirell.db.lock"))
    yield lock
    lock.release()


def stored() -> int:
    return len(esquirell("readings", *ALWAYS).json)


def test_upgrade_makes_tables_and_a_second_time_does_no_harm(home: Home) -> None:
    home.configure(meter())
    done = {"database": str(home.database), "revision": HEAD}
    assert esquirell("db", "upgrade", "--json").json == done
    home.store([sample("main")])
    assert esquirell("db", "upgrade") == (
        0,
        f"The tables of {home.database} are up to date ({HEAD}).\n",
        "",
    )
    assert stored() == 1
    assert home.database.stat().st_mode & 0o777 == 0o600
    assert home.database.parent.stat().st_mode & 0o777 == 0o700


def test_check_detects_a_damaged_database(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main")])
    assert esquirell("db", "check") == (0, f"The database {home.database} is sound.\n", "")
    assert esquirell("db", "check", "--json").json == {"ok": True, "problems": []}
    home.database.write_bytes(b"no database " * 1000)
    said = esquirell("db", "check")
    assert said.code == 1
    assert "is damaged or not an SQLite file" in said.sentence
    told = esquirell("db", "check", "--json")
    assert (told.code, told.json["ok"], len(told.json["problems"])) == (1, False, 1)


def test_check_makes_no_database(home: Home) -> None:
    home.configure(meter())
    said = esquirell("db", "check")
    assert said.code == 1
    assert "does not exist yet: run esquirell db upgrade" in said.sentence
    assert home.files == {"esquirell.toml"}


def test_a_backup_can_be_put_back(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main")])
    done = esquirell("db", "backup", "copy.db", "--json").json
    copy = home.path / "copy.db"
    assert done == {
        "database": str(home.database),
        "file": "copy.db",
        "bytes": copy.stat().st_size,
    }
    assert copy.stat().st_mode & 0o777 == 0o600
    home.store([sample("main", 60)])
    assert stored() == 2
    restored = esquirell("db", "restore", "copy.db", "--json").json
    assert restored == {
        "database": str(home.database),
        "file": "copy.db",
        "replaced": f"{home.database}.replaced-1",
    }
    assert stored() == 1


def test_a_backup_is_put_back_on_a_new_machine(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main")])
    esquirell("db", "backup", "copy.db")
    home.database.parent.rename(home.path / "gone")
    said = esquirell("db", "restore", "copy.db")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{home.database} is what copy.db holds.\n"
    assert stored() == 1


def test_a_backup_overwrites_nothing(home: Home) -> None:
    home.configure(meter())
    home.store()
    (home.path / "copy.db").write_text("precious")
    said = esquirell("db", "backup", "copy.db")
    assert said.code == 2
    assert said.sentence == "copy.db already exists: name a new file."
    assert (home.path / "copy.db").read_text() == "precious"


@pytest.mark.parametrize("content", [None, b"", b"no database " * 1000])
def test_a_file_that_is_no_backup_changes_nothing(home: Home, content: bytes | None) -> None:
    home.configure(meter())
    home.store([sample("main")])
    if content is not None:
        (home.path / "copy.db").write_bytes(content)
    before = home.files
    said = esquirell("db", "restore", "copy.db")
    assert said.code == 2
    assert "copy.db" in said.sentence
    assert home.files - {"data/esquirell.db.lock"} == before
    assert stored() == 1


def test_nothing_is_put_back_under_a_running_service(home: Home, lock: RunLock) -> None:
    home.configure(meter())
    home.store([sample("main")])
    esquirell("db", "backup", "copy.db")
    lock.take()
    said = esquirell("db", "restore", "copy.db")
    assert said.code == 1
    assert said.sentence == "esquirell run uses the database: stop it first"
    lock.release()
    assert esquirell("db", "restore", "copy.db").code == 0


def test_nothing_is_put_back_under_a_worker_elsewhere(home: Home, server: RedisProcess) -> None:
    home.configure(meter(), redis__url=server.url)
    home.store([sample("main")])
    esquirell("db", "backup", "copy.db")
    client = connect(Address(server.url))
    worker = Process("garage", ("worker",), "2026-11-22T10:15:00Z")
    Presence(client, "garage-1").announce(worker, worker.roles)
    client.close()
    said = esquirell("db", "restore", "copy.db")
    assert said.code == 1
    assert said.sentence == "esquirell worker uses the database: stop it first"


def test_a_database_elsewhere_has_tools_of_its_own(home: Home) -> None:
    home.configure(meter(), database__url="postgresql+psycopg://esquirell@localhost/energy")
    said = esquirell("db", "backup", "copy.db")
    assert said.code == 2
    assert "use pg_dump and pg_restore" in said.sentence


def test_move_refuses_an_invalid_target(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main")])
    said = esquirell("db", "move", "mysql://localhost/x")
    assert (said.code, said.sentence) == (
        2,
        "URL must start with sqlite:/// or postgresql+psycopg://",
    )
    said = esquirell("db", "move", f"sqlite:///{home.database}")
    assert said.code == 2
    assert "name another one" in said.sentence
    assert stored() == 1


def test_move_copies_everything_and_says_what_to_change(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main"), sample("main", 60)])
    new = home.database.with_name("new.db")
    done = esquirell("db", "move", f"sqlite:///{new}", "--json").json
    assert done["rows"]["reading"] == 2
    said = esquirell("db", "move", f"sqlite:///{new}")
    assert said.code == 2
    assert "name an empty database" in said.sentence
    new.unlink()
    said = esquirell("db", "move", f"sqlite:///{new}")
    assert said.code == 0
    assert said.out.endswith("Now set database.url to it.\n")
    assert stored() == 2


def test_move_is_refused_beside_a_service(home: Home, lock: RunLock) -> None:
    home.configure(meter())
    home.store([sample("main")])
    lock.take()
    said = esquirell("db", "move", f"sqlite:///{home.database.with_name('new.db')}")
    assert said.code == 1
    assert "stop it first" in said.sentence
