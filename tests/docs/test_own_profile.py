"""The how-to page on own profiles, followed to the letter."""

import json
import re
import shlex
from pathlib import Path

import pytest
from support.cli import esquirell

from esquirell.domain.frames.codecs import CODECS
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import QUANTITIES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "profiles.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ESQUIRELL_CONFIG", raising=False)
    (tmp_path / "esquirell.toml").touch()
    (tmp_path / "capture.json").write_text(blocks("json")[0])
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_without_the_profile_a_family_is_recognised_and_said_so() -> None:
    (line,) = commands(blocks("sh")[1])
    shown = esquirell(*line, "--json").json
    assert shown["profile"] == "recognised"
    assert shown["values"]["voltage_a"] == 233.2
    assert shown["warnings"]
    assert "voltage" not in shown["values"]


def test_the_page_works_as_it_says(folder: Path) -> None:
    (folder / "profiles").mkdir()
    (folder / "profiles" / "cellar_meter.toml").write_text(blocks("toml")[0])
    check, try_ = commands(blocks("sh")[2])
    assert esquirell(*check).code == 0
    shown = esquirell(*try_, "--json").json
    assert shown["profile"] == "cellar_meter"
    assert shown["values"] == {
        "energy_import": 2034.15,
        "voltage_a": 233.2,
        "current_a": 1.245,
        "active_power_a": 231,
        "voltage": 231.8,
        "active_power": 415,
        "active_power_2": 912,
    }
    assert set(shown["diagnostics"]) == {"fault", "switch", "direction", "dp_104"}


def test_the_name_in_the_configuration_is_that_of_the_file() -> None:
    assert "`profiles/cellar_meter.toml`" in TEXT
    assert 'profile = "cellar_meter"' in blocks("toml")[1]


@pytest.mark.parametrize(
    "name",
    [
        *sorted(QUANTITIES.keys() | CODECS.keys() | Datapoint.model_fields.keys()),
        *sorted(Profile.model_fields.keys() - {"name", "datapoints"}),
    ],
)
def test_everything_that_may_be_written_is_explained(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_the_example_is_a_capture() -> None:
    assert set(json.loads(blocks("json")[0])) == {"product_id", "dps"}
