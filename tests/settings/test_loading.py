import contextlib
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.configuration import KEY, METER, ConfigurationFolder, meter_named

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, files, load, urls

CONTRACT = """
timezone = "Europe/Warsaw"

[redis]
url = "redis://localhost:6379/0"
result_expires = "1h"

[database]
url = "sqlite:///esquirell.db"
raw_retention = "90d"
durability = "full"

[mqtt]
host = "localhost"
port = 1883
username = "esquirell"
password_file = "mqtt-password"
protocol = "5"
tls = false
base_topic = "esquirell"
discovery_prefix = "homeassistant"

[[meters]]
name = "main"
label = "Main meter"
device_id = "bf0123456789abcdefghij"
address = "192.168.1.50"
port = 6668
local_key_file = "main.key"
protocol = "3.4"
profile = "auto"
product_id = "gqmmtjclqb7reg5p"
transport = "local"
invert = ["b"]
publish_every = 0

[[schedules]]
name = "fetch"
task = "fetch_and_save_energy_data"
every = 60
"""


@pytest.fixture
def inside(folder: ConfigurationFolder) -> Iterator[ConfigurationFolder]:
    with contextlib.chdir(folder.path):
        yield folder


def test_the_configuration_of_the_contract_is_understood(folder: ConfigurationFolder) -> None:
    folder.put("mqtt-password", "s3cret\n")
    folder.put("main.key", f"{KEY}\n")
    settings = folder.load(CONTRACT)
    assert settings.timezone == "Europe/Warsaw"
    assert settings.mqtt.password.get_secret_value() == "s3cret"
    assert settings.database.raw_retention == timedelta(days=90)
    assert settings.redis.result_expires == timedelta(hours=1)
    assert settings.meters[0].local_key.get_secret_value() == KEY
    assert settings.meters[0].invert == ("b",)
    assert settings.schedules[0].every == 60
    assert settings.source == folder.file
    assert settings.warnings == ()


def test_an_empty_file_means_the_defaults(folder: ConfigurationFolder) -> None:
    settings = folder.load("")
    plain = Settings(timezone="Europe/Warsaw", state_dir=folder.path / "data")
    assert settings == plain.model_copy(
        update={"source": folder.file, "no_meter": settings.no_meter}
    )


def test_without_schedules_all_meters_are_fetched_each_minute(folder: ConfigurationFolder) -> None:
    for text in (METER, METER + "[[schedules]]\nname = 'fetch'\nevery = 60\n"):
        (schedule,) = folder.load(text).schedules
        assert (schedule.name, schedule.every, schedule.meters) == ("fetch", 60, None)
    (schedule,) = folder.load("schedules = []\n").schedules
    assert schedule.name == "fetch"


def test_the_first_file_of_the_search_order_wins(folder: ConfigurationFolder) -> None:
    places = [folder.path / "a/esquirell.toml", folder.path / "b/esquirell.toml"]
    assert files.find(None, {}, places) is None
    folder.put("b/esquirell.toml", "timezone = 'UTC'\n")
    second = files.find(None, {}, places)
    assert second is not None
    assert second.path == places[1]
    folder.put("a/esquirell.toml", "timezone = 'UTC'\n")
    first = files.find(None, {}, places)
    assert first is not None
    assert first.path == places[0]


def test_the_places_of_the_contract_are_searched() -> None:
    assert [str(path) for path in files.SEARCHED] == [
        "esquirell.toml",
        "config/esquirell.toml",
        "/etc/esquirell/esquirell.toml",
    ]


def test_files_of_the_working_directory_are_found(inside: ConfigurationFolder) -> None:
    inside.put("config/esquirell.toml", METER)
    assert load(None, {}).state_dir == inside.path / "config/data"
    inside.put("esquirell.toml", METER)
    settings = load(None, {})
    assert settings.state_dir == inside.path / "data"
    assert settings.source == inside.file


def test_a_variable_names_the_file_and_the_argument_wins(folder: ConfigurationFolder) -> None:
    one = folder.put("one.toml", "timezone = 'Asia/Tokyo'\n")
    two = folder.put("two.toml", "timezone = 'Europe/Rome'\n")
    assert load(None, {"ESQUIRELL_CONFIG": str(one)}).timezone == "Asia/Tokyo"
    assert load(two, {"ESQUIRELL_CONFIG": str(one)}).timezone == "Europe/Rome"


def test_the_environment_of_the_process_is_the_default(
    folder: ConfigurationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("esquirell.toml", METER)
    monkeypatch.setenv("ESQUIRELL_MQTT__HOST", "broker.lan")
    assert load(folder.file).mqtt.host == "broker.lan"


@pytest.mark.skipif(files.SEARCHED[-1].exists(), reason="this machine has a configuration")
def test_without_any_configuration_it_says_where_it_looked(inside: ConfigurationFolder) -> None:
    assert inside.path.is_dir()
    with pytest.raises(ConfigError) as caught:
        load(None, {"ESQUIRELL_CONFIG": ""})
    assert str(caught.value) == (
        "there is no configuration: looked for esquirell.toml, config/esquirell.toml and "
        "/etc/esquirell/esquirell.toml; create one with: esquirell init"
    )


@pytest.mark.skipif(files.SEARCHED[-1].exists(), reason="this machine has a configuration")
def test_variables_alone_are_a_configuration(inside: ConfigurationFolder) -> None:
    meters = '[{"name": "main", "device_id": "bf01", "local_key": "0123456789abcdef"}]'
    settings = load(None, {"ESQUIRELL_METERS": meters, "ESQUIRELL_MQTT__HOST": "mosquitto"})
    assert settings.meters[0].name == "main"
    assert settings.mqtt.host == "mosquitto"
    assert settings.source is None
    assert settings.state_dir == inside.path / "data"


@pytest.mark.skipif(files.SEARCHED[-1].exists(), reason="this machine has a configuration")
def test_errors_without_a_file_name_the_variable(inside: ConfigurationFolder) -> None:
    assert inside.path.is_dir()
    with pytest.raises(ConfigError) as caught:
        load(None, {"ESQUIRELL_METERS": '[{"name": "main", "local_key": "0123456789abcdef"}]'})
    assert str(caught.value) == "ESQUIRELL_METERS: main: device_id is missing"
    with pytest.raises(ConfigError) as caught:
        load(None, {"ESQUIRELL_METERS": '[{"name": "main", "device_id": "bf01"}]'})
    assert str(caught.value) == (
        "ESQUIRELL_METERS: main: local_key is missing: give local_key or local_key_file"
    )


def test_a_file_that_is_named_has_to_exist(folder: ConfigurationFolder) -> None:
    for missing in (folder.path / "none.toml", folder.put("file", "") / "esquirell.toml"):
        with pytest.raises(ConfigError, match="does not exist: name another file"):
            load(missing, {})


def test_a_folder_is_no_configuration(folder: ConfigurationFolder) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(folder.path, {})


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (
            "[mqtt]\nhost = localhost\n",
            "Invalid value (at line 2): text must be in quotes",
        ),
        *(
            (
                f"[push]\nenabled = {said}\n",
                "Invalid value (at line 2): type true or false, in lower case and without quotes",
            )
            for said in ("True", "FALSE # not now", "yes", "Off")
        ),
        *(
            (f"[mqtt]\nport = {said}\n", "Invalid value (at line 2): a value is missing")
            for said in ("", "# the usual one", "[1, , 2]")
        ),
        ("[mqtt]\r\nport =\r\nhost = 1\r\n", "Invalid value (at line 2): a value is missing"),
        ("port =", "Invalid value (at end of document): a value is missing"),
        ("host = on-prem", "Invalid value (at line 1): text must be in quotes"),
        (
            "[mqtt]\nhost = “localhost”\n",
            (
                "Invalid value (at line 2): that line has typographic quotation marks; "
                'type " in their place'
            ),
        ),
        (
            "[mqtt]\nport = 1\n[mqtt]\n",
            (
                "Cannot declare ('mqtt',) twice (at line 3): a section may occur once; "
                "put its keys together"
            ),
        ),
        (
            '[mqtt]\npassword = "a\\qb"\n',
            "Unescaped '\\' in a string (at line 2): put the text between single quotes",
        ),
        (
            "[mqtt]\nport = 1\nport = 2\n",
            "Cannot overwrite a value (at line 3): a key may occur once in a section",
        ),
        ("[mqtt\n", "Expected ']' at the end of a table declaration (at line 1)"),
    ],
)
def test_broken_toml_is_refused_with_line_column_and_remedy(
    folder: ConfigurationFolder, toml: str, problem: str
) -> None:
    said = re.sub(", column [0-9]+", "", folder.refusal(toml))
    assert said == f"esquirell.toml is not valid TOML: {problem}"


def test_a_file_in_another_encoding_is_refused(folder: ConfigurationFolder) -> None:
    folder.file.write_bytes("timezone = 'Küche'".encode("latin-1"))
    with pytest.raises(ConfigError, match="must be text in UTF-8"):
        load(folder.file, {})


def test_a_byte_order_mark_does_no_harm(folder: ConfigurationFolder) -> None:
    assert folder.load("\ufefftimezone = 'Asia/Tokyo'\n").timezone == "Asia/Tokyo"


def test_state_is_beside_the_file_or_in_state_dir_or_where_systemd_says(
    folder: ConfigurationFolder,
) -> None:
    said = "state_dir = 'state'\n"
    assert folder.load("").state_dir == folder.path / "data"
    assert folder.load(said).state_dir == folder.path / "state"
    assert folder.load(said, STATE_DIRECTORY="/var/lib/a:/var/lib/b").state_dir == Path(
        "/var/lib/a"
    )


def test_state_is_not_made_while_loading(folder: ConfigurationFolder) -> None:
    settings = folder.load(METER)
    assert settings.database_url == f"sqlite:///{folder.path}/data/esquirell.db"
    assert settings.lock_dir == folder.path / "data/locks"
    assert list(folder.path.iterdir()) == [folder.file]


def test_an_sqlite_file_may_be_anywhere(folder: ConfigurationFolder) -> None:
    settings = folder.load("[database]\nurl = 'sqlite:////srv/meters.db'\n")
    assert settings.database_url == "sqlite:////srv/meters.db"


def test_a_state_directory_may_have_any_name(folder: ConfigurationFolder) -> None:
    settings = folder.load("state_dir = '100%?'\n")
    assert settings.database_url == f"sqlite:///{folder.path}/100%?/esquirell.db"
    assert urls.sqlite_file(settings.database_url) == f"{folder.path}/100%?/esquirell.db"


def test_paths_start_from_the_file_that_names_them(inside: ConfigurationFolder) -> None:
    inside.put("etc/devices.json", "[]")
    inside.put("etc/ca.pem", "")
    inside.put("etc/esquirell.toml", METER + "mapping_file = 'devices.json'\n")
    inside.put("here.pem", "")
    settings = load(
        Path("etc/esquirell.toml"),
        {"ESQUIRELL_MQTT__TLS": "true", "ESQUIRELL_MQTT__CA_FILE": "here.pem"},
    )
    assert settings.meters[0].mapping_file == inside.path / "etc/devices.json"
    assert settings.mqtt.ca_file == inside.path / "here.pem"


def test_loading_again_sees_what_changed(folder: ConfigurationFolder) -> None:
    before = folder.load(METER)
    after = folder.load(METER.replace("main", "garage") + "[log]\nlevel = 'debug'\n")
    assert [before.meters[0].name, before.log.level] == ["main", "info"]
    assert [after.meters[0].name, after.log.level] == ["garage", "debug"]


def test_settings_cannot_be_changed(folder: ConfigurationFolder) -> None:
    settings = folder.load(METER)
    for table, key in ((settings, "timezone"), (settings.mqtt, "host")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(table, key, "elsewhere")


def test_a_configuration_without_meters_warns(folder: ConfigurationFolder) -> None:
    sentence = f"{folder.file}: no meter is configured: add one with esquirell meters add"
    assert folder.load("").no_meter == sentence


def test_two_meters_at_one_address_warn(folder: ConfigurationFolder) -> None:
    tables = [
        f'[[meters]]\nname = "{name}"\ndevice_id = "{name}"\nlocal_key = "{KEY}"\n{more}'
        for name, more in (
            ("one", 'address = "192.168.1.50"'),
            ("other", 'address = "192.168.1.50"\nport = 6668'),
            ("apart", 'address = "192.168.1.50"\nport = 7000'),
            ("found", 'address = "auto"'),
            ("child", 'address = "192.168.1.50"\ngateway = "g"\ncid = "c"'),
        )
    ]
    said = [one for one in folder.load("\n".join(tables)).warnings if "same address" in one]
    assert said == [
        (
            "meters.one and meters.other have the same address 192.168.1.50:6668: a device is one "
            "meter, so correct one of them"
        )
    ]


def test_a_machine_without_a_known_zone_runs_on_utc_and_warns(folder: ConfigurationFolder) -> None:
    settings = folder.load(METER, TZ="Europe/Berlinn")
    assert settings.timezone == "UTC"
    assert settings.warnings == (
        (
            f"{folder.file}: timezone is missing and TZ is 'Europe/Berlinn', which is no IANA time "
            "zone (Europe/Berlin is the nearest): UTC is used"
        ),
    )


def test_loading_takes_no_time(folder: ConfigurationFolder) -> None:
    meters = "".join(meter_named(f"meter-{number}") for number in range(100))
    start = time.process_time()
    folder.load(meters)
    assert time.process_time() - start < 1


def test_commands_warn_about_a_state_directory_that_differs_from_the_service(
    folder: ConfigurationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not folder.load(METER).warnings
    monkeypatch.setattr(files, "SERVICE_FOLDER", folder.path)
    (said,) = folder.load(METER).warnings
    assert f"this looks into {folder.path / 'data'}, and the service keeps its readings in" in said
    assert said.endswith('add state_dir = "/var/lib/esquirell" above the first section')
    assert not folder.load(METER, STATE_DIRECTORY="/var/lib/esquirell").warnings
    assert not folder.load(f'state_dir = "/var/lib/esquirell"\n{METER}').warnings
