"""What lets people in, while another disk is mounted where the state directory was."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.disks import another_file_system

from esquirell.domain.errors import DiskError
from esquirell.settings import Settings
from esquirell.settings.state_files import StateDirectory
from esquirell.web.sessions import Credentials, Sessions
from esquirell.web.tokens import Tokens


def test_nothing_is_written_to_another_disk_and_the_password_stays(tmp_path: Path) -> None:
    with another_file_system(tmp_path) as elsewhere:
        _check(tmp_path, elsewhere)


def _check(tmp_path: Path, elsewhere: Path) -> None:
    place, disk = tmp_path / "place", tmp_path / "disk"
    disk.mkdir()
    place.symlink_to(disk)
    directory = StateDirectory(place)
    credentials = Credentials(Settings(state_dir=place), directory)
    tokens = Tokens(directory, lambda: datetime.now(UTC))
    sessions = Sessions(credentials, directory)
    password, key = credentials.password, credentials.signing_key()
    token = tokens.add("program", write=False)
    session = sessions.check(sessions.begin())
    assert session is not None

    place.unlink()
    place.symlink_to(elsewhere)
    assert (credentials.password, credentials.signing_key()) == (password, key)
    assert tokens.find(token) is not None
    with pytest.raises(DiskError, match="mount its disk again"):
        credentials.change("another-password")
    with pytest.raises(DiskError, match="mount its disk again"):
        tokens.remove("program")
    with pytest.raises(DiskError, match="mount its disk again"):
        Credentials(Settings(state_dir=place), directory)
    sessions.end(session)
    assert list(elsewhere.iterdir()) == []
