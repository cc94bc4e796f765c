"""The configuration, read again by a running service."""

from pathlib import Path

import pytest
from support.service import configuration, meter_table

from esquirell.runtime.configuration import reloaded
from esquirell.settings import load


def test_it_is_found_after_a_task_has_changed_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "esquirell.toml"
    file.write_text(configuration([meter_table("main", 1)], mqtt_port=1))
    monkeypatch.delenv("ESQUIRELL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    before = load()
    monkeypatch.chdir("/")
    file.write_text(configuration([meter_table("main", 1), meter_table("garage", 2)], mqtt_port=1))
    assert reloaded(before).meter_names == ["main", "garage"]
