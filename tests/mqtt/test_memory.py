"""What a bridge remembers over its own end."""

import json
import stat
from pathlib import Path

import pytest

from esquirell.mqtt.memory import REMOVED_LIMIT, Memory, Place

HOME = Place("energy", "homeassistant")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mqtt.json"


def test_records_are_available_to_the_next_process(file: Path) -> None:
    memory = Memory(file)
    assert (memory.published, memory.removed) == (None, {})
    memory.note_published(HOME)
    memory.note_removed("a/config", b'{"name":"caf\xc3\xa9"}')
    after = Memory(file)
    assert (after.published, after.removed) == (HOME, {"a/config": '{"name":"café"}'})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_device_announced_again_is_not_removed(file: Path) -> None:
    memory = Memory(file)
    for topic in ("a", "b"):
        memory.note_removed(topic, b"{}")
    memory.note_announced("a")
    assert Memory(file).removed == {"b": "{}"}
    memory.forget_removed()
    assert Memory(file).removed == {}


def test_nothing_is_written_where_nothing_changes(file: Path) -> None:
    memory = Memory(file)
    memory.note_published(HOME)
    file.unlink()
    memory.note_published(HOME)
    memory.note_announced("a")
    assert not file.exists()


def test_only_the_latest_removed_devices_are_remembered(file: Path) -> None:
    memory = Memory(file)
    for number in range(REMOVED_LIMIT + 1):
        memory.note_removed(str(number), b"{}")
    assert list(Memory(file).removed) == [str(number) for number in range(1, REMOVED_LIMIT + 1)]


def test_once_nothing_of_ours_is_on_the_broker_nothing_is_remembered(file: Path) -> None:
    memory = Memory(file)
    memory.note_published(HOME)
    memory.note_removed("a", b"{}")
    memory.forget_everything()
    assert (memory.published, memory.removed, file.exists()) == (None, {}, False)
    memory.forget_everything()


def test_without_a_file_it_lasts_as_long_as_the_process() -> None:
    memory = Memory()
    memory.note_published(HOME)
    memory.note_removed("a", b"\xff")
    assert (memory.published, memory.removed) == (HOME, {"a": "�"})
    memory.forget_everything()


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"published": null, "removed": {}}', '{"published": {"x": 1}}']
)
def test_a_file_that_says_nothing_is_as_none(file: Path, content: str) -> None:
    file.write_text(content)
    memory = Memory(file)
    assert (memory.published, memory.removed) == (None, {})
    memory.note_published(HOME)
    assert json.loads(file.read_bytes())["published"]["base_topic"] == "energy"


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "gone" / "mqtt.json")
    memory.note_published(HOME)
    assert memory.published == HOME
