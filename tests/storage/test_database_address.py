from pathlib import Path

import pytest

from esquirell.domain.errors import ConfigError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("esquirell.db", "database.url is no URL"),
        ("postgresql://user:secret@host:port/db", "database.url is no URL"),
        ("mysql://user:secret@host/db", "database.url begins with mysql"),
        ("postgresql+psycopg2://user:secret@host/db", "begins with postgresql.psycopg2"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite+pysqlite:////tmp/esquirell.db?mode=ro", "a path and nothing else"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:secret@host/db",
        "postgresql://user:secret@host/db",
        "postgresql+psycopg://user:secret@host/db?connect_timeout=3",
        "postgresql+psycopg://user@host/db?password=secret",
    ],
)
def test_a_description_hides_the_password(url: str) -> None:
    shown = Database(url).describe()
    assert shown.startswith("postgresql+psycopg://user")
    assert shown.endswith("@host/db")
    assert "secret" not in shown


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "100%41?x#"
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/esquirell.db")
    ensure_current(database)
    database.close()
    assert (folder / "esquirell.db").stat().st_size > 0
    assert database.file == folder / "esquirell.db"


def test_a_file_describes_itself(tmp_path: Path) -> None:
    file = tmp_path / "esquirell.db"
    assert Database(f"sqlite:///{file}").describe() == str(file)
