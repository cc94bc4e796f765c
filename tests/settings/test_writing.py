"""What is written for a user is what is loaded afterwards."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.configuration import KEY, METER

from esquirell.domain.meter import Meter
from esquirell.settings import MqttSettings, Settings, load, private_files
from esquirell.settings.writing import Answers, Update, compose, rewrite, to_toml

PRINTABLE = st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.sampled_from("$#='\"\\( \t")
TEXT = st.text(PRINTABLE, max_size=20)
PASSWORD = st.text(PRINTABLE, min_size=1, max_size=30)
LOCAL_KEY = st.text(PRINTABLE, min_size=16, max_size=16)


def meter(**said: object) -> Meter:
    return Meter.model_validate({"name": "main", "device_id": "bf01", "local_key": KEY} | said)


def written(folder: Path, draft: Answers) -> Settings:
    target = folder / "esquirell.toml"
    private_files.write(compose(draft, target))
    return load(target, {"TZ": "UTC"})


@given(password=PASSWORD, key=LOCAL_KEY, username=PASSWORD, label=TEXT)
def test_any_answer_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, password: str, key: str, username: str, label: str
) -> None:
    mqtt = MqttSettings(host="broker", username=username, password=SecretStr(password))
    one = meter(label=label, local_key=key, device_id=f"bf{len(label)}")
    settings = written(tmp_path_factory.getbasetemp(), Answers(None, mqtt, (one,)))
    assert settings.mqtt == mqtt
    assert settings.meters == (one,)


@given(password=PASSWORD, key=LOCAL_KEY)
def test_any_secret_survives_in_toml(
    tmp_path_factory: pytest.TempPathFactory, password: str, key: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "inline.toml"
    tables = {
        "mqtt": {"username": "u", "password": password},
        "meters": [{"name": "main", "device_id": "bf01", "local_key": key}],
    }
    file.write_bytes(to_toml(tables).encode())
    settings = load(file, {"TZ": "UTC"})
    assert settings.mqtt.password.get_secret_value() == password
    assert settings.meters[0].local_key.get_secret_value() == key


def test_secrets_are_written_to_files_of_their_own(tmp_path: Path) -> None:
    mqtt = MqttSettings(username="u", password=SecretStr("geheim"))
    files = compose(Answers("UTC", mqtt, (meter(),)), tmp_path / "esquirell.toml")
    assert list(files) == [
        tmp_path / "main.key",
        tmp_path / "mqtt-password",
        tmp_path / "esquirell.toml",
    ]
    assert files[tmp_path / "main.key"] == f"{KEY}\n"
    assert files[tmp_path / "mqtt-password"] == "geheim\n"
    text = files[tmp_path / "esquirell.toml"]
    assert KEY not in text
    assert "geheim" not in text


def test_the_file_explains_itself(tmp_path: Path) -> None:
    mapping = tmp_path / "tuya/devices.json"
    one = meter(address="192.168.1.50", protocol="3.4", mapping_file=mapping)
    files = compose(Answers("UTC", MqttSettings(), (one,)), tmp_path / "esquirell.toml")
    assert (
        files[tmp_path / "esquirell.toml"]
        == """\
# The configuration of esquirell, written by `esquirell init`.
# Settings that are not listed have their defaults: see config/esquirell.example.toml.

timezone = "UTC"

[redis]
url = "redis://localhost:6379/0" # "embedded": `esquirell run` starts its own

[mqtt]
host = "localhost"
port = 1883

[[meters]]
name = "main" # history and topics depend on it: keep it when you replace a broken device
device_id = "bf01"
address = "192.168.1.50" # on your network; let the router always assign the same one
local_key_file = "main.key"
protocol = "3.4" # 3.1 to 3.5; "auto": detected at the first connection
profile = "auto" # what its datapoints mean; "auto": detected from product, mapping or answer
mapping_file = "tuya/devices.json"

# Without a schedule all meters are read every 60 seconds. To read them every 10:
#[[schedules]]
#name = "fetch"
#every = 10
"""
    )


def test_a_mapping_elsewhere_keeps_its_whole_path(tmp_path: Path) -> None:
    mapping = tmp_path / "devices.json"
    mapping.touch()
    one = meter(mapping_file=mapping)
    settings = written(tmp_path / "etc", Answers(None, MqttSettings(), (one,)))
    assert settings.meters[0].mapping_file == mapping


def test_who_owns_a_file_owns_it_after_a_change(tmp_path: Path) -> None:
    """`sudo esquirell meters sync` must not take the configuration from the service."""
    source = tmp_path / "esquirell.toml"
    source.write_text(METER)
    is_root = os.geteuid() == 0
    owner = (54_321, 54_322) if is_root else (os.geteuid(), [os.getegid(), *os.getgroups()][-1])
    os.chown(source, *owner)
    assert rewrite(source, {"main": Update(product_id="abc")}) == [source]
    found = source.stat()
    assert (found.st_uid, found.st_gid) == owner
    assert 'product_id = "abc"' in source.read_text()
