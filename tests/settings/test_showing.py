import json
import tomllib

import pytest
from pydantic import ValidationError
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.services.command_table import COMMANDS
from esquirell.settings import Settings, load, masked, public
from esquirell.settings.layers import LISTS, SECTIONS
from esquirell.settings.writing import to_toml

FULL = f"""
timezone = "Europe/Warsaw"

[database]
url = "postgresql+psycopg://me:geheim-db@db/meters"
raw_retention = "36h"

[redis]
url = "redis://:geheim-redis@redis:6379/0"

[mqtt]
username = "u"
password = "geheim-mqtt"

[flower]
password = "geheim-flower"

[[meters]]
name = "main"
device_id = "bf0123456789abcdefghij"
address = "192.168.1.50"
local_key = "{KEY}"
invert = ["b"]

[[schedules]]
name = "slow"
cron = "0 * * * *"
args = {{ deep = {{ list = [1, "a"] }} }}
"""
SECRETS = ("geheim", KEY)


@pytest.fixture
def settings(folder: ConfigurationFolder) -> Settings:
    return folder.load(FULL)


def test_no_secret_shows_anywhere(settings: Settings) -> None:
    shown = (json.dumps(masked(settings)), json.dumps(public(settings)), repr(settings))
    for text in (*shown, str(settings), settings.redis_url):
        assert not any(secret in text for secret in SECRETS)


def test_masked_shows_the_effective_settings(
    settings: Settings, folder: ConfigurationFolder
) -> None:
    shown = masked(settings)
    assert shown["mqtt"]["password"] == "***"
    redis = {"url": "redis://redis:6379/0", "password": "***", "sentinel_password": ""}
    assert shown["redis"] == redis | {"result_expires": "1h"}
    assert shown["database"]["url"] == "postgresql+psycopg://me@db/meters"
    assert shown["database"]["raw_retention"] == "36h"
    assert shown["state_dir"] == str(folder.path / "data")
    assert shown["meters"][0]["local_key"] == "***"
    assert shown["meters"][0]["port"] == 6668
    assert shown["schedules"][0]["args"] == {"deep": {"list": [1, "a"]}}
    assert "source" not in shown
    assert "warnings" not in shown


def test_a_secret_that_is_not_set_is_seen_to_be_empty(folder: ConfigurationFolder) -> None:
    assert masked(folder.load(METER))["mqtt"]["password"] == ""


def test_masked_as_toml_says_the_same(settings: Settings) -> None:
    assert tomllib.loads(to_toml(masked(settings))) == masked(settings)


def test_shown_settings_can_be_loaded_except_secrets(
    settings: Settings, folder: ConfigurationFolder
) -> None:
    text = to_toml(masked(settings)).replace('local_key = "***"', f'local_key = "{KEY}"')
    again = load(folder.put("again.toml", text), {})
    assert masked(again) == masked(settings)


def test_the_public_part_is_as_small_as_listed(settings: Settings) -> None:
    assert public(settings) == {
        "timezone": "Europe/Warsaw",
        "log": {"level": "info"},
        "database": {"raw_retention": "36h", "durability": "full"},
        "mqtt": {
            "protocol": "5",
            "base_topic": "esquirell",
            "discovery_prefix": "homeassistant",
        },
    }


def test_the_own_redis_listens_on_a_socket(folder: ConfigurationFolder) -> None:
    settings = folder.load("[redis]\nurl = 'embedded'\n")
    assert settings.redis.embedded
    assert settings.redis_url == f"unix://{folder.path}/data/redis.sock?db=0"
    assert not folder.load("").redis.embedded


MODELS = {**SECTIONS, **LISTS, **{command.name: command.payload for command in COMMANDS.values()}}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_what_pydantic_says_of_a_wrong_value_does_not_show_it(name: str) -> None:
    """A traceback says it, too: with `--debug`, or in the log of a fault that nobody foresaw."""
    with pytest.raises(ValidationError) as refused:
        MODELS[name].model_validate({key: {"key": SECRETS} for key in MODELS[name].model_fields})
    assert SECRETS[0] not in str(refused.value)
