"""Files that are replaced as a whole."""

import os
import stat
from pathlib import Path

import pytest

from esquirell import whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_is_complete_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("old")
    file.chmod(0o644)
    whole_file.replace(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path) == ["kept"]


def test_a_power_cut_afterwards_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is on the disk before it has its name, and the name before the call returns."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        steps.append("folder" if path == tmp_path else f"file of {path.stat().st_size} bytes")
        sync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("name")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    whole_file.replace(tmp_path / "kept", b"12345")
    assert steps == ["file of 5 bytes", "name", "folder"]


def test_what_is_still_being_written_is_hidden(tmp_path: Path) -> None:
    staged = whole_file.stage(tmp_path / "kept", b"new")
    assert staged.parent == tmp_path
    assert staged.name.startswith(".kept.")


def test_where_it_cannot_be_put_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(OSError, match="directory"):
        whole_file.replace(tmp_path / "kept", b"new")
    assert names(tmp_path) == ["kept"]
