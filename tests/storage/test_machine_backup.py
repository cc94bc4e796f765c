"""An archive of a machine whose database is PostgreSQL."""

from datetime import UTC, datetime
from pathlib import Path

from support.db_postgres import PASSWORD, PostgresServer
from support.db_samples import sample

from esquirell.runtime.machine_backup import MachineBackup
from esquirell.runtime.storage import Storage
from esquirell.runtime.upkeep import Upkeep
from esquirell.settings import Settings
from esquirell.settings.urls import split_password
from esquirell.storage.readings import Readings


def machine(folder: Path, url: str) -> tuple[MachineBackup, Upkeep, Readings]:
    address, password = split_password(url)
    database = {"url": address, "password": password}
    data = {"state_dir": folder, "timezone": "UTC", "database": database}
    settings = Settings.model_validate(data)
    storage = Storage(lambda: settings, lambda: datetime.now(UTC))
    upkeep = Upkeep(settings, storage, lambda: datetime.now(UTC))
    return MachineBackup(settings, upkeep), upkeep, storage.readings


def test_postgresql_is_dumped_and_restored(postgres: PostgresServer, tmp_path: Path) -> None:
    old_name, new_name = postgres.new_database(), postgres.new_database()
    backup, upkeep, readings = machine(tmp_path / "old", postgres.url(old_name))
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    upkeep.upgrade()
    readings.add([sample("main")], {})
    (tmp_path / "old" / "web-password").write_text("page-pass-word\n")
    archive = tmp_path / "all"
    assert "database.dump" in backup.write(archive)["holds"]
    assert PASSWORD.encode() not in archive.read_bytes()
    restored, other, found = machine(tmp_path / "new", postgres.url(new_name))
    restored.restore(archive)
    assert found.counts() == {"main": 1}
    assert (tmp_path / "new" / "web-password").read_text() == "page-pass-word\n"
    for one in (upkeep, other):
        one.database.close()
    postgres.drop_database(old_name)
    postgres.drop_database(new_name)
