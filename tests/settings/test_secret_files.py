import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.settings import secret_files
from esquirell.settings.layers import Table
from esquirell.settings.origins import Origins

INLINE = "[mqtt]\nusername = 'u'\npassword = 'inline'\n"
FILE = "[mqtt]\nusername = 'u'\npassword_file = 'pw'\n"
NOTHING = "[mqtt]\nusername = 'u'\n"


@pytest.fixture
def credentials(folder: ConfigurationFolder) -> Path:
    folder.put("pw", "of the file\n")
    folder.put("env-pw", "of the variable's file\n")
    return folder.put("credentials/mqtt__password", "of the credentials\n").parent


@pytest.mark.parametrize(
    ("toml", "environ", "expected"),
    [
        (INLINE, {}, "of the credentials"),
        (NOTHING, {}, "of the credentials"),
        (FILE, {}, "of the file"),
        (FILE, {"ESQUIRELL_MQTT__PASSWORD": "variable"}, "variable"),
        (INLINE, {"ESQUIRELL_MQTT__PASSWORD": "variable"}, "variable"),
        (NOTHING, {"ESQUIRELL_MQTT__PASSWORD": "variable"}, "variable"),
        (FILE, {"ESQUIRELL_MQTT__PASSWORD_FILE": "env-pw"}, "of the variable's file"),
        (INLINE, {"ESQUIRELL_MQTT__PASSWORD_FILE": "env-pw"}, "of the variable's file"),
    ],
)
def test_the_strongest_source_wins(
    folder: ConfigurationFolder,
    credentials: Path,
    toml: str,
    environ: dict[str, str],
    expected: str,
) -> None:
    named = {
        name: str(folder.path / text) if name.endswith("_FILE") else text
        for name, text in environ.items()
    }
    settings = folder.load(toml, CREDENTIALS_DIRECTORY=str(credentials), **named)
    assert settings.mqtt.password.get_secret_value() == expected


def test_inline_is_used_when_there_is_no_file(folder: ConfigurationFolder) -> None:
    assert folder.load(INLINE).mqtt.password.get_secret_value() == "inline"
    assert folder.load(NOTHING).mqtt.password.get_secret_value() == ""


def test_meters_have_credentials_by_their_name(folder: ConfigurationFolder) -> None:
    folder.put("credentials/meters__main__local_key", f"{KEY}\n")
    where = str(folder.path / "credentials")
    text = METER.replace(f'local_key = "{KEY}"', "")
    settings = folder.load(text, CREDENTIALS_DIRECTORY=where)
    assert settings.meters[0].local_key.get_secret_value() == KEY
    meters = '[{"name": "main", "device_id": "bf01"}]'
    settings = folder.load("", ESQUIRELL_METERS=meters, CREDENTIALS_DIRECTORY=where)
    assert settings.meters[0].local_key.get_secret_value() == KEY


def test_credentials_may_be_beside_the_configuration(folder: ConfigurationFolder) -> None:
    folder.put("credentials/meters__main__local_key", f"{KEY}\n")
    settings = folder.load(METER.replace(f'local_key = "{KEY}"', ""))
    assert settings.meters[0].local_key.get_secret_value() == KEY


def test_systemd_hands_a_folder_over_with_a_prefix(folder: ConfigurationFolder) -> None:
    folder.put("given/esquirell_meters__main__local_key", f"{KEY}\n")
    where = str(folder.path / "given")
    settings = folder.load(METER.replace(f'local_key = "{KEY}"', ""), CREDENTIALS_DIRECTORY=where)
    assert settings.meters[0].local_key.get_secret_value() == KEY


def test_a_meter_may_have_its_key_in_a_variable(folder: ConfigurationFolder) -> None:
    text = METER.replace(f'local_key = "{KEY}"', 'local_key_file = "gone.key"')
    settings = folder.load(text, ESQUIRELL_METERS__MAIN__LOCAL_KEY=KEY)
    assert settings.meters[0].local_key.get_secret_value() == KEY


def test_systemd_credentials_precede_container_secrets(folder: ConfigurationFolder) -> None:
    beside = [Path("/run/secrets"), Path("/etc/e/credentials")]
    assert secret_files.folders({}, Path("/etc/e")) == beside
    given = {"CREDENTIALS_DIRECTORY": "/run/c"}
    assert secret_files.folders(given, Path("/etc/e")) == [Path("/run/c"), *beside]
    folder.put("systemd/mqtt__password", "one")
    folder.put("container/mqtt__password", "two")
    folder.put("container/redis__password", "three")
    where = [folder.path / "systemd", folder.path / "container", folder.path / "none"]
    tables: Table = {"mqtt": {}, "redis": {}, "flower": {}}
    secret_files.resolve(tables, where, Origins("file"))
    assert tables == {
        "mqtt": {"password": SecretStr("one")},
        "redis": {"password": SecretStr("three")},
        "flower": {},
    }


def test_a_name_leads_to_no_file_elsewhere(folder: ConfigurationFolder) -> None:
    folder.put("secrets/x/local_key", KEY)
    meters = '[{"name": "/../../x", "device_id": "bf01"}]'
    sentence = folder.refusal(
        "", ESQUIRELL_METERS=meters, CREDENTIALS_DIRECTORY=str(folder.path / "secrets")
    )
    assert sentence == "ESQUIRELL_METERS: /../../x: name may contain only a-z, 0-9, _ and -"


@pytest.mark.parametrize("secret", ["$#='(a b", " leading and trailing ", "ąć😀", 'a\\b"c'])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_nothing_but_the_end_of_the_line_is_cut_off(
    folder: ConfigurationFolder, secret: str, end: str
) -> None:
    folder.put("pw", secret + end)
    assert folder.load(FILE).mqtt.password.get_secret_value() == secret


def test_a_secret_file_starts_from_the_file_that_names_it(folder: ConfigurationFolder) -> None:
    folder.put("secrets/pw", "deep")
    text = FILE.replace("'pw'", "'secrets/pw'")
    assert folder.load(text).mqtt.password.get_secret_value() == "deep"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file or directory"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff\xfe", "it is not text in UTF-8"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(
    folder: ConfigurationFolder, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (folder.path / "pw").write_bytes(content)
    sentence = folder.refusal(FILE)
    assert sentence == f"esquirell.toml: mqtt: password_file can't be read from pw: {problem}"


def test_a_folder_is_no_secret(folder: ConfigurationFolder) -> None:
    folder.put("credentials/mqtt__password/file", "")
    sentence = folder.refusal("", CREDENTIALS_DIRECTORY=str(folder.path / "credentials"))
    assert sentence == (
        "esquirell.toml: mqtt: password can't be read from credentials/mqtt__password: "
        "is a directory"
    )


def test_a_pipe_is_refused_as_a_secret_file(folder: ConfigurationFolder) -> None:
    os.mkfifo(folder.path / "pw")
    sentence = folder.refusal(FILE)
    assert sentence == "esquirell.toml: mqtt: password_file names pw, which is not a plain file"


def test_an_error_of_a_variables_file_names_the_variable(folder: ConfigurationFolder) -> None:
    sentence = folder.refusal("", ESQUIRELL_MQTT__PASSWORD_FILE=str(folder.path / "none"))
    assert sentence == (
        "ESQUIRELL_MQTT__PASSWORD_FILE can't be read from none: no such file or directory"
    )


def test_the_name_of_a_secret_file_has_to_be_text(folder: ConfigurationFolder) -> None:
    sentence = folder.refusal("[mqtt]\npassword_file = 5\n")
    assert sentence == "esquirell.toml: mqtt: password_file must be text in quotes"


@pytest.mark.parametrize(
    ("toml", "environ", "sentence"),
    [
        (
            INLINE + "password_file = 'pw'\n",
            {},
            (
                "esquirell.toml: mqtt: password is set together with password_file: "
                "keep only one of them"
            ),
        ),
        (
            METER + "local_key_file = 'main.key'\n",
            {},
            (
                "esquirell.toml: meters.main: local_key is set together with local_key_file: "
                "keep only one of them"
            ),
        ),
        (
            "",
            {"ESQUIRELL_MQTT__PASSWORD": "a", "ESQUIRELL_MQTT__PASSWORD_FILE": "b"},
            "ESQUIRELL_MQTT__PASSWORD is set together with password_file: keep only one of them",
        ),
        (
            "[redis]\nurl = 'redis://:a@localhost'\npassword = 'b'\n",
            {},
            "esquirell.toml: redis: password is set twice: as password and in url",
        ),
    ],
)
def test_a_secret_is_given_once(
    folder: ConfigurationFolder, toml: str, environ: dict[str, str], sentence: str
) -> None:
    assert folder.refusal(toml, **environ) == sentence


@pytest.mark.parametrize(
    "toml", [INLINE, METER, "[redis]\nurl = 'redis://:a@localhost'\n"], ids=["mqtt", "key", "url"]
)
def test_secrets_that_others_can_read_are_a_warning(folder: ConfigurationFolder, toml: str) -> None:
    expected = (
        f"{folder.file} holds passwords or keys and other users can read it: "
        f"chmod 600 {folder.file}"
    )
    for mode in (0o640, 0o604, 0o644):
        assert expected in folder.load(toml, mode).warnings
    assert expected not in folder.load(toml, 0o600).warnings


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_readable_by_the_group_of_a_service_counts_as_private(
    folder: ConfigurationFolder,
) -> None:
    assert folder.load(METER, 0o640).warnings
    os.chown(folder.file, 0, 12345)
    assert folder.load(METER, 0o640).warnings == ()
    assert folder.load(METER, 0o644).warnings


def test_a_readable_file_without_secrets_is_no_warning(folder: ConfigurationFolder) -> None:
    folder.put("main.key", KEY)
    text = METER.replace(f'local_key = "{KEY}"', 'local_key_file = "main.key"')
    settings = folder.load(text, 0o644, ESQUIRELL_REDIS__PASSWORD="a")
    assert settings.warnings == ()


def test_a_password_of_a_url_moves_out_of_it(folder: ConfigurationFolder) -> None:
    settings = folder.load(
        "[database]\nurl = 'postgresql+psycopg://me:p%40ss#/?@db:5433/meters?sslmode=require'\n"
        "[redis]\nurl = 'redis://:geheim@redis:6380/2'\n"
    )
    assert settings.database.url == "postgresql+psycopg://me@db:5433/meters?sslmode=require"
    assert settings.database.password.get_secret_value() == "p@ss#/?"
    assert settings.database_url == (
        "postgresql+psycopg://me:p%40ss%23%2F%3F@db:5433/meters?sslmode=require"
    )
    assert settings.redis_url == "redis://redis:6380/2"
    assert settings.redis.password.get_secret_value() == "geheim"
    assert "geheim" not in repr(settings)
    assert "p@ss" not in repr(settings)


def test_the_password_of_a_variables_url_wins_over_the_files(folder: ConfigurationFolder) -> None:
    folder.put("credentials/redis__password", "credentials")
    settings = folder.load(
        "[redis]\npassword_file = 'none'\n",
        ESQUIRELL_REDIS__URL="redis://:variable@localhost:6379/0",
        CREDENTIALS_DIRECTORY=str(folder.path / "credentials"),
    )
    assert settings.redis.password.get_secret_value() == "variable"


def test_the_password_of_a_url_may_be_a_setting_of_its_own(folder: ConfigurationFolder) -> None:
    folder.put("db-password", "p@ss/word:#1")
    settings = folder.load(
        "[database]\nurl = 'postgresql+psycopg://me@db/meters'\npassword_file = 'db-password'\n"
    )
    assert settings.database_url == "postgresql+psycopg://me:p%40ss%2Fword%3A%231@db/meters"
