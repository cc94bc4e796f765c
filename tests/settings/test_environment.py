import json
from pathlib import Path

import pytest
from support.configuration import KEY, METER, ConfigurationFolder, meter_named

from esquirell.domain.errors import ConfigError

TWO = METER + meter_named("heat-pump")


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("ESQUIRELL_MQTT__HOST", "broker", "host", "broker"),
        ("ESQUIRELL_MQTT__PORT", "8883", "port", 8883),
        ("ESQUIRELL_MQTT__TLS", "true", "tls", True),
        ("ESQUIRELL_MQTT__PROTOCOL", "3.1.1", "protocol", "3.1.1"),
        ("ESQUIRELL_MQTT__DISCOVERY_PREFIX", "", "discovery_prefix", ""),
    ],
)
def test_a_variable_wins_over_the_file(
    folder: ConfigurationFolder, variable: str, text: str, key: str, value: object
) -> None:
    toml = "[mqtt]\nhost = 'a'\nport = 1\ntls = false\nprotocol = '5'\ndiscovery_prefix = 'b'\n"
    assert getattr(folder.load(toml, **{variable: text}).mqtt, key) == value


def test_top_level_settings_have_variables(folder: ConfigurationFolder) -> None:
    settings = folder.load(
        "timezone = 'UTC'\n", ESQUIRELL_TIMEZONE="Asia/Tokyo", ESQUIRELL_STATE_DIR="/srv/state"
    )
    assert settings.timezone == "Asia/Tokyo"
    assert settings.state_dir == Path("/srv/state")


def test_lists_and_tables_are_json(folder: ConfigurationFolder) -> None:
    settings = folder.load(
        METER,
        ESQUIRELL_TASKS__MODULES='["my_house.tasks", "more"]',
        ESQUIRELL_MQTT='{"host": "broker", "port": 1884}',
        ESQUIRELL_MQTT__PORT="1885",
        ESQUIRELL_SCHEDULES='[{"name": "fast", "every": 5, "args": {"a": [1]}}]',
    )
    assert settings.tasks.modules == ("my_house.tasks", "more")
    assert (settings.mqtt.host, settings.mqtt.port) == ("broker", 1885)
    assert settings.schedules[0].name == "fast"
    assert settings.schedules[0].args == {"a": [1]}


def test_a_table_in_a_variable_leaves_other_keys_of_the_file(folder: ConfigurationFolder) -> None:
    settings = folder.load("[mqtt]\nport = 1884\n", ESQUIRELL_MQTT='{"host": "broker"}')
    assert (settings.mqtt.host, settings.mqtt.port) == ("broker", 1884)


def test_a_list_in_a_variable_replaces_that_of_the_file(folder: ConfigurationFolder) -> None:
    meters = json.dumps([{"name": "attic", "device_id": "bf01", "local_key": KEY}])
    assert [meter.name for meter in folder.load(TWO, ESQUIRELL_METERS=meters).meters] == ["attic"]


def test_single_keys_of_meters_and_schedules_have_variables(folder: ConfigurationFolder) -> None:
    settings = folder.load(
        TWO,
        ESQUIRELL_METERS__MAIN__ADDRESS="192.168.1.9",
        ESQUIRELL_METERS__HEAT_PUMP__INVERT='["a"]',
        ESQUIRELL_METERS__MAIN__INVERT="true",
        ESQUIRELL_SCHEDULES__FETCH__EVERY="10",
        ESQUIRELL_SCHEDULES__FETCH__METERS='["main"]',
    )
    main, heat_pump = settings.meters
    assert (main.address, main.invert) == ("192.168.1.9", True)
    assert (heat_pump.address, heat_pump.invert) == ("auto", ("a",))
    assert (settings.schedules[0].every, settings.schedules[0].meters) == (10, ("main",))


def test_a_name_may_hold_two_underscores_and_the_exact_name_wins(
    folder: ConfigurationFolder,
) -> None:
    names = ("a__b", "a-_b", "a_")
    settings = folder.load(
        "".join(meter_named(name) for name in names),
        ESQUIRELL_METERS__A__B__LABEL="exact",
        ESQUIRELL_METERS__A___LABEL="end",
    )
    assert [meter.label for meter in settings.meters] == ["exact", "", "end"]


def test_other_variables_are_no_concern(folder: ConfigurationFolder) -> None:
    assert folder.load(METER, ESQUIRELLX="1", MQTT__HOST="x", HOME="/root").mqtt.host == "localhost"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        (
            "ESQUIRELL_MQTT__PASWORD",
            "x",
            (
                "ESQUIRELL_MQTT__PASWORD is not a setting; "
                "the nearest known one is ESQUIRELL_MQTT__PASSWORD"
            ),
        ),
        (
            "ESQUIRELL_MQTT_HOST",
            "x",
            "ESQUIRELL_MQTT_HOST is not a setting; the nearest known one is ESQUIRELL_MQTT__HOST",
        ),
        (
            "ESQUIRELL_MQQT__HOST",
            "x",
            "ESQUIRELL_MQQT__HOST is not a setting; the nearest known one is ESQUIRELL_MQTT__HOST",
        ),
        (
            "ESQUIRELL_TIME_ZONE",
            "UTC",
            "ESQUIRELL_TIME_ZONE is not a setting; the nearest known one is ESQUIRELL_TIMEZONE",
        ),
        (
            "ESQUIRELL_METERS__MAIN__LOCALKEY",
            "x",
            (
                "ESQUIRELL_METERS__MAIN__LOCALKEY is not a setting; "
                "the nearest known one is ESQUIRELL_METERS__NAME__LOCAL_KEY"
            ),
        ),
        (
            "ESQUIRELL_SOURCE",
            "x",
            "ESQUIRELL_SOURCE is not a setting; the nearest known one is ESQUIRELL_WORKER",
        ),
        (
            "ESQUIRELL_METERS__ATTIC__ADDRESS",
            "x",
            "ESQUIRELL_METERS__ATTIC__ADDRESS names none of the configured meters",
        ),
        ("ESQUIRELL_MQTT__PORT", "high", "ESQUIRELL_MQTT__PORT must be a whole number"),
        (
            "ESQUIRELL_MQTT",
            '{"port": "high"}',
            "ESQUIRELL_MQTT: port must be a whole number",
        ),
        (
            "ESQUIRELL_MQTT",
            '{"hots": "a"}',
            "ESQUIRELL_MQTT: hots is not a known key; the nearest known key is host",
        ),
        ("ESQUIRELL_MQTT", "[]", "ESQUIRELL_MQTT must be a table {…} in JSON"),
        ("ESQUIRELL_METERS", "{}", "ESQUIRELL_METERS must be a list […] in JSON"),
        (
            "ESQUIRELL_METERS",
            "main",
            "ESQUIRELL_METERS must be JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "ESQUIRELL_METERS",
            '["main"]',
            "ESQUIRELL_METERS must be a list of tables: [[meters]] in a file",
        ),
        (
            "ESQUIRELL_TASKS__MODULES",
            "my_house",
            'ESQUIRELL_TASKS__MODULES must be a list, such as ["a", "b"]',
        ),
        (
            "ESQUIRELL_METERS__MAIN__PROTOCOL",
            "4",
            (
                "ESQUIRELL_METERS__MAIN__PROTOCOL must be "
                "'3.1', '3.2', '3.3', '3.4', '3.5' or 'auto', in quotes"
            ),
        ),
        (
            "ESQUIRELL_METERS__MAIN__LOCAL_KEY",
            "short",
            (
                "esquirell.toml: meters.main: local_key has 5 characters, a Tuya local key has 16: "
                "copy it again, into a file of its own (local_key_file), or between single quotes"
            ),
        ),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(
    folder: ConfigurationFolder, variable: str, text: str, sentence: str
) -> None:
    assert folder.refusal(METER, **{variable: text}) == sentence


def test_endless_nesting_is_refused_by_the_variable(folder: ConfigurationFolder) -> None:
    refusal = folder.refusal(METER, ESQUIRELL_METERS="[" * 50_000)
    assert refusal.startswith("ESQUIRELL_METERS must be JSON: ")


def test_a_variable_with_a_level_too_many_is_refused(folder: ConfigurationFolder) -> None:
    with pytest.raises(ConfigError, match="ESQUIRELL_MQTT__BROKER__PORT is not a setting"):
        folder.load(METER, ESQUIRELL_MQTT__BROKER__PORT="1883")
