import json
import tomllib

import pytest
from support.cli import Home, esquirell, meter
from support.service import KEY

from esquirell.settings import load, masked


def test_the_effective_configuration_is_shown_as_toml_and_as_json(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(meter())
    monkeypatch.setenv("ESQUIRELL_MQTT__HOST", "broker.lan")
    monkeypatch.setenv("ESQUIRELL_MQTT__USERNAME", "me")
    monkeypatch.setenv("ESQUIRELL_MQTT__PASSWORD", "s3cret")
    told = esquirell("config", "show")
    shown = tomllib.loads(told.out)
    assert (
        shown
        == esquirell("config", "show", "--json").json
        == json.loads(json.dumps(masked(load())))
    )
    assert (shown["mqtt"]["host"], shown["mqtt"]["port"]) == ("broker.lan", 1)
    assert told.out.startswith(f"# {home.config}\n")


def test_no_secret_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(meter(), redis__url="redis://:r3dis@localhost/0")
    monkeypatch.setenv("ESQUIRELL_DATABASE__URL", "postgresql+psycopg://me:p0stgres@db/energy")
    for option in ((), ("--json",)):
        told = esquirell("config", "show", *option).out
        assert "***" in told
        assert not any(secret in told for secret in (KEY, "r3dis", "p0stgres"))


def test_a_good_configuration_is_fine(home: Home) -> None:
    home.configure(meter(), meter("garage"))
    said = esquirell("config", "check")
    assert said == (0, f"{home.config} is fine: 2 meters, 1 schedule\n", "")
    assert esquirell("config", "check", "--json").json == {
        "ok": True,
        "errors": [],
        "warnings": [],
    }


def test_warnings_are_reported_and_do_no_harm(home: Home) -> None:
    home.configure(meter())
    home.config.chmod(0o644)
    said = esquirell("config", "check")
    assert said.code == 0
    assert said.err.startswith("warning: esquirell.toml holds passwords or keys")
    assert len(esquirell("config", "check", "--json").json["warnings"]) == 1


def test_all_that_is_wrong_is_reported_at_once(home: Home) -> None:
    cron = '[[schedules]]\nname = "night"\ncron = "61 2 * * *"'
    home.configure(meter(profile='profile = "owon_321"'), meter("garage", profile=""), cron)
    said = esquirell("config", "check")
    assert said.code == 2
    unknown, night = said.err.splitlines()
    assert "meters.main: there is no profile 'owon_321'; did you mean 'owon_pc321'?" in unknown
    assert 'schedules.night: cron "61 2 * * *" is not valid' in night
    told = esquirell("config", "check", "--json")
    assert (told.code, told.json["ok"], len(told.json["errors"])) == (2, False, 2)


SCHEDULE = '[[schedules]]\nname = "x"\n'
REFUSED = [
    (f'{SCHEDULE}every = 9\ntask = "nosuch"', "no schedulable task"),
    (f"{SCHEDULE}every = 9\nargs = {{ depth = 1 }}", "args of fetch_and_save_energy_data"),
    (f'{SCHEDULE}cron = "99 * * * *"', "is not valid"),
    ('mqtt.tls = true\nmqtt.ca_file = "esquirell.toml"', "ca_file"),
    ('mqtt.base_topic = "a\\tb"', "base_topic may contain only printable"),
    ('mqtt.host = "mqtt://host"', "host must be a name"),
]


@pytest.mark.parametrize(("toml", "sentence"), REFUSED)
def test_config_check_refuses_in_the_words_of_run(home: Home, toml: str, sentence: str) -> None:
    top, tables = ("", toml) if toml.startswith("[[") else (toml, "")
    servers = 'mqtt.port = 1\nredis.url = "redis://127.0.0.1:1/0"\n'
    home.write(f"{top}\n{servers}\n{meter()}\n{tables}\n")
    checked, ran = esquirell("config", "check"), esquirell("run")
    assert (checked.code, ran.code) == (2, 2)
    assert sentence in checked.err
    assert sentence in ran.err


def test_other_writings_of_a_host_and_a_database_are_taken(home: Home) -> None:
    home.configure(meter(), mqtt__host=" [::1] ", database__url="postgres://me@db/meters")
    settings = load()
    assert settings.mqtt.host == "::1"
    assert settings.database_url == "postgresql+psycopg://me@db/meters"
    assert esquirell("config", "check").code == 0
