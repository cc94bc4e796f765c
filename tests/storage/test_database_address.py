from pathlib import Path

import pytest

from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current


@pytest.mark.parametrize(
    "url",
    [
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
