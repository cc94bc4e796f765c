import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.db_postgres import PostgresServer, running_postgres
from support.polled_house import House
from support.statistics import Workshop

from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_with_tables(postgres: PostgresServer) -> str:
    """The URL of a database with all tables: emptying them is quicker than making them."""
    url = postgres.url(postgres.new_database())
    upgrade(url)
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/esquirell.db"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database without tables, of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables: copying it is quicker than making them."""
    file = tmp_path_factory.mktemp("sqlite") / "esquirell.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite(sqlite_url: str, sqlite_with_tables: Path) -> Iterator[Database]:
    shutil.copy(sqlite_with_tables, sqlite_url.removeprefix("sqlite:///"))
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def postgresql(postgres_with_tables: str) -> Iterator[Database]:
    database = Database(postgres_with_tables)
    with database.write() as connection:
        connection.execute(
            text("TRUNCATE meter, reading, schedule, command_log, price, backfill CASCADE")
        )
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with all tables, of each kind."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def shop(database: Database) -> Workshop:
    return Workshop(database)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)
