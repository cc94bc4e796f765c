"""The example configuration, against the models."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter
from support.configuration import KEY, ConfigurationFolder

from esquirell.settings import load
from esquirell.settings.layers import LISTS, SECTIONS, known_keys
from esquirell.settings.model import Configuration

EXAMPLE = Path(__file__).parents[2] / "config/esquirell.example.toml"
MODELS: dict[str, type[BaseModel]] = SECTIONS | LISTS
SETTINGS = [(name, key) for name, model in MODELS.items() for key in known_keys(model)]
DEFAULTS = [
    (name, key)
    for name, key in SETTINGS
    if key in MODELS[name].model_fields
    and MODELS[name].model_fields[key].default not in (None, "", SecretStr(""))
    and not MODELS[name].model_fields[key].is_required()
    and (name, key) != ("meters", "profile")  # the example names one
]


def example(text: str) -> dict[str, Any]:
    tables = tomllib.loads(text)
    return tables | {name: tables[name][0] for name in LISTS if name in tables}


@pytest.fixture(scope="module")
def active() -> dict[str, Any]:
    return example(EXAMPLE.read_text())


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    """Read the example with all its settings switched on."""
    return example(re.sub(r"^#(?=[a-z_\[])", "", EXAMPLE.read_text(), flags=re.MULTILINE))


def test_the_example_can_be_loaded(folder: ConfigurationFolder) -> None:
    shutil.copy(EXAMPLE, folder.file)
    folder.file.chmod(0o644)
    folder.put("mqtt-password", "geheim\n")
    folder.put("main.key", f"{KEY}\n")
    settings = load(folder.file, {})
    assert settings.warnings == ()
    assert settings.mqtt.password.get_secret_value() == "geheim"
    assert settings.meters[0].local_key.get_secret_value() == KEY


@pytest.mark.parametrize(("table", "key"), SETTINGS)
def test_the_example_has_every_setting(everything: dict[str, Any], table: str, key: str) -> None:
    assert key in everything[table]


def test_the_example_has_every_setting_of_the_top(everything: dict[str, Any]) -> None:
    assert set(everything) == set(Configuration.model_fields)


@pytest.mark.parametrize(("table", "key"), DEFAULTS)
def test_the_defaults_of_the_example_are_those_in_effect(
    everything: dict[str, Any], table: str, key: str
) -> None:
    field = MODELS[table].model_fields[key]
    default = field.get_default(call_default_factory=True)
    shown = TypeAdapter(MODELS[table].__annotations__[key]).validate_python(everything[table][key])
    assert shown == default


def test_settings_that_are_switched_on_are_the_users_to_say(active: dict[str, Any]) -> None:
    assert active["mqtt"] == {
        "host": "localhost",
        "username": "esquirell",
        "password_file": "mqtt-password",
    }
    assert all(active[name] == {} for name in ("redis", "database", "tasks", "worker", "log"))
    assert "schedules" not in active


def test_the_default_of_the_state_directory_is_reported(everything: dict[str, Any]) -> None:
    assert Path(everything["state_dir"]) == Configuration.model_fields["state_dir"].default
