from pathlib import Path

import pytest
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.domain.errors import ConfigError
from esquirell.settings.relocating import Relocated, relocate

STATE = Path("/var/lib/esquirell")


@pytest.fixture
def folder(tmp_path: Path) -> ConfigurationFolder:
    return ConfigurationFolder(tmp_path)


def moved(folder: ConfigurationFolder, toml: str) -> Relocated:
    folder.put("esquirell.toml", toml)
    return relocate(folder.file, STATE)


def test_comments_stay_and_secrets_go(folder: ConfigurationFolder) -> None:
    found = moved(folder, f"# my house\n{METER}")
    assert "# my house" in found.text
    assert KEY not in found.text
    assert f'state_dir = "{STATE}"' in found.text
    assert found.secrets == {"meters__main__local_key": KEY}


def test_secrets_are_copied_from_any_file(folder: ConfigurationFolder) -> None:
    folder.put("mqtt", "one\n")
    folder.put("credentials/redis__password", "two\n")
    found = moved(
        folder,
        "[mqtt]\nusername = 'me'\npassword_file = 'mqtt'\n"
        "[database]\nurl = 'postgresql+psycopg://me:thr%40ee@db/meters'\n",
    )
    assert found.secrets == {
        "mqtt__password": "one",
        "redis__password": "two",
        "database__password": "thr@ee",
    }
    assert "password" not in found.text
    assert "postgresql+psycopg://me@db/meters" in found.text


def test_other_files_come_along_under_names_of_their_own(folder: ConfigurationFolder) -> None:
    for name in ("a/ca.pem", "b/ca.pem"):
        folder.put(name, "x")
    found = moved(
        folder,
        "[redis]\nurl = 'rediss://r/0'\nca_file = 'a/ca.pem'\n"
        "[mqtt]\ntls = true\nca_file = 'b/ca.pem'\n",
    )
    assert found.files == {
        "ca.pem": folder.path / "a/ca.pem",
        "mqtt-ca.pem": folder.path / "b/ca.pem",
    }
    assert 'ca_file = "ca.pem"' in found.text
    assert 'ca_file = "mqtt-ca.pem"' in found.text


def test_a_faulty_configuration_is_refused(folder: ConfigurationFolder) -> None:
    with pytest.raises(ConfigError, match="nearest known key"):
        moved(folder, "[mqtt]\nprt = 1\n")
