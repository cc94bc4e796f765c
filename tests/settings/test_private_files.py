import errno
import os
import re
import stat
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.disks import another_file_system

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.settings import private_files, state_files
from esquirell.settings.meter_files import MeterFiles


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    private_files.write({tmp_path / "new/a": "one\n", tmp_path / "new/b": "zwölf\r\n"})
    assert names(tmp_path / "new") == ["a", "b"]
    assert (tmp_path / "new/b").read_bytes() == "zwölf\r\n".encode()
    for name in ("a", "b"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600


def test_a_file_that_is_replaced_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(0o644)
    private_files.write({file: "new"})
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_large_file_is_copied_and_not_loaded(tmp_path: Path) -> None:
    source, size = tmp_path / "source", 8 << 20
    source.write_bytes(os.urandom(size))
    tracemalloc.start()
    try:
        private_files.write({tmp_path / "new/copy": source})
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()
    assert (tmp_path / "new/copy").read_bytes() == source.read_bytes()
    assert stat.S_IMODE((tmp_path / "new/copy").stat().st_mode) == 0o600


def test_when_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(ConfigError) as caught:
        private_files.write({tmp_path / "a": "one", tmp_path / "b": "two"})
    assert str(caught.value) == f"{tmp_path / 'b'} can't be written: Is a directory"
    assert names(tmp_path) == ["b"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be written: "):
        private_files.write({tmp_path / "file/a": "one"})
    assert names(tmp_path) == ["file"]


def test_what_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    private_files.refuse_existing([tmp_path / "none"])
    with pytest.raises(ConfigError) as caught:
        private_files.refuse_existing([tmp_path / "none", tmp_path / "link"])
    assert str(caught.value) == (f"{tmp_path / 'link'} already exists: --force overwrites it")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    with another_file_system(tmp_path) as folder:
        yield folder


def test_another_disk_in_its_place_is_not_the_state_directory(
    tmp_path: Path, elsewhere: Path
) -> None:
    place, disk = tmp_path / "place", tmp_path / "disk"

    def mount(folder: Path) -> None:
        place.unlink(missing_ok=True)
        place.symlink_to(folder)

    directory = state_files.StateDirectory(place)
    assert not directory.is_there()
    disk.mkdir()
    mount(disk)
    assert directory.is_there()
    assert directory.problem() is None
    mount(elsewhere)
    assert not directory.is_there()
    assert "mount its disk again" in str(directory.problem())
    # Meters can't be saved there, and what the page writes does not make it the right one.
    with pytest.raises(DiskError, match="mount its disk again"), MeterFiles(directory).alone():
        pass
    assert names(elsewhere) == []
    (elsewhere / "web-password").touch()
    assert not directory.is_there()
    # The same disk, plugged in again under another number.
    (elsewhere / "instance").touch()
    assert directory.is_there()
    mount(disk)
    assert directory.is_there()


def test_a_state_directory_that_takes_no_new_file_is_said_to_be_so(tmp_path: Path) -> None:
    """Root may write everywhere, but not to a disk that is mounted read-only."""
    place = tmp_path / "place"
    place.mkdir()
    directory = state_files.StateDirectory(place)
    assert directory.unwritable() is None
    mount = ("/bin/mount", "-t", "tmpfs", "-o", "ro", "esquirell", str(place))
    place.chmod(0o500)
    mounted = not subprocess.run(mount, check=False, capture_output=True).returncode
    if os.geteuid() == 0 and not mounted:
        pytest.skip("root may not mount a disk here")
    try:
        said = str(directory.unwritable())
    finally:
        if mounted:
            subprocess.run(["/bin/umount", str(place)], check=True)
        place.chmod(0o700)
    assert said.startswith(f"the state directory {place} can't be written: change its owner")
    assert directory.unwritable() is None


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, r"not writable \(Read-only file system\).* mount it for writing"),
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "the owner of that folder"),
        (errno.EISDIR, "lock must be a file: remove the folder of this name"),
    ],
)
def test_a_file_that_can_not_be_opened_has_a_remedy_that_helps(number: int, said: str) -> None:
    error = OSError(number, os.strerror(number))
    assert re.search(said, private_files.unwritable(Path("/state/lock"), error))


def test_a_state_directory_on_a_disk_that_fails_is_not_there(tmp_path: Path) -> None:
    assert state_files.is_there(tmp_path)
    # As with a disk that gives errors: the system can't even say whether it is there.
    assert not state_files.is_there(Path("/", "x" * 300))
