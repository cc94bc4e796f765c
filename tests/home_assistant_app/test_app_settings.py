"""Settings within the Home Assistant app: options over the file, the usual below it."""

import json
from pathlib import Path
from typing import Any

import pytest

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, home_assistant_app, load
from esquirell.settings.home_assistant_app import NO_BROKER, NO_METER

BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "tls": False,
    "username": "addons",
    "password": "pw",
}


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "esquirell.toml"

    def load(
        self,
        toml: str | None = None,
        broker: dict[str, Any] | None = BROKER,
        **options: Any,  # noqa: ANN401 - JSON is anything
    ) -> Settings:
        (self.path / "options.json").write_text(json.dumps(options))
        if broker:
            (self.path / "mqtt-broker.json").write_text(json.dumps(broker))
        if toml is not None:
            self.file.write_text(toml)
            self.file.chmod(0o600)
        return load(self.file if toml is not None else None, self.environ)

    def refusal(self, toml: str | None = None, **options: Any) -> str:  # noqa: ANN401 - the same
        with pytest.raises(ConfigError) as caught:
            self.load(toml, **options)
        return str(caught.value)

    @property
    def environ(self) -> dict[str, str]:
        given = {"SUPERVISOR_TOKEN": "x", "STATE_DIRECTORY": str(self.path), "TZ": "Asia/Tokyo"}
        return {**given, "PATH": "/bin"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


def test_without_a_file_everything_is_set(folder: Folder) -> None:
    settings = folder.load()
    assert settings.redis.embedded
    assert settings.web.port == 0
    assert settings.state_dir == folder.path
    assert settings.timezone == "Asia/Tokyo"
    assert (settings.mqtt.host, settings.mqtt.username) == ("core-mosquitto", "addons")
    assert settings.mqtt.password.get_secret_value() == "pw"
    assert (settings.warnings, settings.no_meter) == ((), NO_METER)


def test_without_a_broker_a_warning_names_the_app(folder: Folder) -> None:
    settings = folder.load(broker=None)
    assert settings.mqtt.host == "core-mosquitto"
    assert settings.warnings == (NO_BROKER,)


def test_each_option_sets_its_setting(folder: Folder) -> None:
    settings = folder.load(
        log_level="debug",
        mqtt_host="192.168.1.9",
        mqtt_port=8883,
        mqtt_username="me",
        mqtt_password="secret",
        mqtt_tls=True,
        cloud_region="us",
        cloud_api_key="id",
        cloud_api_secret="cloud-secret",
        page_port=8155,
        page_password="page-pass-word-1",
    )
    mqtt, cloud, web = settings.mqtt, settings.cloud, settings.web
    assert settings.log.level == "debug"
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.tls) == ("192.168.1.9", 8883, "me", True)
    assert mqtt.password.get_secret_value() == "secret"
    assert (cloud.region, cloud.api_key) == ("us", "id")
    assert cloud.api_secret.get_secret_value() == "cloud-secret"
    assert (web.port, web.address) == (8155, "0.0.0.0")
    assert web.password.get_secret_value() == "page-pass-word-1"


def test_an_option_wins_over_the_file_and_an_empty_one_counts_for_nothing(folder: Folder) -> None:
    toml = '[log]\nlevel = "warning"\n[cloud]\nregion = "in"\n'
    settings = folder.load(toml, log_level="error", cloud_region="", mqtt_host=None)
    assert (settings.log.level, settings.cloud.region) == ("error", "in")


@pytest.mark.parametrize(
    ("toml", "host", "username"),
    [
        ('[mqtt]\nhost = "emqx"\n', "emqx", ""),
        ('[mqtt]\nusername = "me"\npassword = "p"\n', "core-mosquitto", "me"),
        ('[mqtt]\nbase_topic = "house"\n', "core-mosquitto", "addons"),
    ],
)
def test_a_broker_that_the_file_chooses_gets_no_login_of_another(
    folder: Folder, toml: str, host: str, username: str
) -> None:
    settings = folder.load(toml)
    assert (settings.mqtt.host, settings.mqtt.username) == (host, username)
    assert NO_BROKER not in settings.warnings


def test_what_the_file_says_of_redis_and_page_stays(folder: Folder) -> None:
    settings = folder.load('[redis]\nurl = "redis://10.0.0.2"\n[web]\nport = 9000\n')
    assert settings.redis.url == "redis://10.0.0.2"
    assert settings.web.port == 9000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"log_level": "x"}, "option log_level must be 'debug', 'info', 'warning' or 'error'"),
        ({"mqtt_port": 70000}, "option mqtt_port must be at most 65535"),
        ({"mqtt_port": True}, "option mqtt_port must be a number, not true or false"),
        ({"page_port": 8155}, "option page_port needs page_password"),
        ({"page_port": 8155, "page_password": "short"}, "option page_password must"),
        ({"colour": "red"}, "option colour is unknown to this version"),
    ],
)
def test_a_refused_option_is_named(folder: Folder, options: dict[str, Any], sentence: str) -> None:
    assert sentence in folder.refusal(**options)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x80"])
def test_options_that_are_damaged_are_one_sentence(folder: Folder, text: str) -> None:
    (folder.path / "options.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"options\.json") as caught:
        load(None, folder.environ)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["SUPERVISOR_TOKEN", "STATE_DIRECTORY"])
def test_outside_of_home_assistant_the_file_is_no_concern(folder: Folder, missing: str) -> None:
    (folder.path / "options.json").write_text("{}")
    environ = folder.environ
    del environ[missing]
    assert home_assistant_app.read(environ) is None
