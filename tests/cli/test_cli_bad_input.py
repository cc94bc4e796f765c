import shutil

import pytest
from support.cli import Home, esquirell, meter

from esquirell.cli.systemd.machine import BOOTED

KEY15 = meter(local_key="local_key = '0123456789abcde'")


def test_no_configuration(home: Home) -> None:
    said = esquirell("fetch")
    assert said.code == 2
    assert "create one with: esquirell init" in said.sentence
    assert home.files == set()


@pytest.mark.parametrize("command", [("fetch",), ("readings",), ("config", "check"), ("health",)])
@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[mqtt\nhost = 1", "is not valid TOML"),
        (meter(device_id=""), "device_id"),
        (meter(local_key=""), "local_key is missing: give local_key or local_key_file"),
        (KEY15, "local_key has 15 characters, a Tuya local key has 16"),
        ("mqtt.prt = 1883", "the nearest known key is port"),
    ],
)
def test_a_faulty_configuration(home: Home, toml: str, told: str, command: tuple[str, ...]) -> None:
    home.write(toml)
    said = esquirell(*command)
    assert said.code == 2
    assert told in said.sentence
    assert home.files == {"esquirell.toml"}


@pytest.mark.parametrize("command", [("fetch",), ("meters", "test", "main"), ("db", "upgrade")])
def test_a_database_that_cannot_be_written(home: Home, command: tuple[str, ...]) -> None:
    home.configure(meter(), database__url="sqlite:////proc/esquirell/readings.db")
    said = esquirell(*command)
    assert said.code == 2
    assert "/proc/esquirell does not exist: create it or change database.url" in said.sentence


def test_a_state_directory_that_cannot_be_made(home: Home) -> None:
    home.configure(meter(), state_dir="esquirell.toml/state")
    said = esquirell("fetch")
    assert said.code == 2
    assert "set state_dir to a folder that this user may write to" in said.sentence
    assert home.files == {"esquirell.toml"}


@pytest.mark.parametrize(
    "command", [("fetch", "mian"), ("meters", "show", "mian"), ("meters", "test", "mian")]
)
def test_an_unknown_meter(home: Home, command: tuple[str, ...]) -> None:
    home.configure(meter())
    said = esquirell(*command)
    assert said.code == 2
    assert said.sentence.startswith(
        "there is no meter 'mian'; did you mean 'main'? (see esquirell "
    )
    assert home.files == {"esquirell.toml"}


@pytest.mark.parametrize("command", ["fetch", "readings", "statistics"])
def test_an_empty_name_means_no_meter(home: Home, command: str) -> None:
    home.configure(meter())
    home.store()
    assert "there is no meter ''" in esquirell(command, "").sentence


@pytest.mark.parametrize("command", ["show", "test", "capture"])
def test_a_pattern_for_several_meters_is_not_one_meter(home: Home, command: str) -> None:
    home.configure(meter("main"), meter("barn"))
    said = esquirell("meters", command, "*")
    assert (said.code, "'*' means several meters: name one of main, barn" in said.sentence) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("log", "--last", "9" * 20),
        ("db", "rollup", "--since", "0001-01-01"),
        ("readings", "--quantity", ","),
        ("statistics", "--quantity", ""),
    ],
)
def test_values_that_mean_nothing_are_a_misuse(home: Home, words: tuple[str, ...]) -> None:
    home.configure(meter())
    home.store()
    assert esquirell(*words).code == 2


def test_no_meter_at_all(home: Home) -> None:
    home.configure()
    said = esquirell("fetch")
    assert said.code == 2
    assert said.sentence == "no meter is configured: add one with esquirell meters add"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ("readings", "--resolution", "dya"),
            "--resolution: 'dya' is not one of raw, quarter, hour, day, month, year; did you mean",
        ),
        (("health", "wroker"), "ROLE: 'wroker' is not one of worker, beat, bridge, web, flower; "),
        (("cost", "--format", "xml"), "--format: 'xml' is not one of table, csv, json (see "),
        (
            ("readings", "--qantity", "x"),
            "there is no option '--qantity'; did you mean '--quantity",
        ),
        (("log", "--last", "0"), "--last: 0 is not in the range 1 to 100000"),
        (
            ("schedule", "add", "x", "--every", "often"),
            "--every: 'often' is neither seconds, such as 300, nor 30s, 5m or 1h",
        ),
        (("meters", "show"), "NAME is missing (see "),
        (("db", "readings", "remove"), "--meter is missing (see "),
        (("restore", "nothing"), "FILE: 'nothing' does not exist (see "),
        (
            ("readings", "--since", "2100-01-01"),
            "--since 2100-01-01 is after now",
        ),
    ],
)
def test_a_misspelt_name_is_reported_with_a_suggestion(
    home: Home, command: tuple[str, ...], sentence: str
) -> None:
    home.configure(meter())
    said = esquirell(*command)
    assert said.code == 2
    assert said.sentence.startswith(sentence)


@pytest.mark.skipif(
    BOOTED.is_dir() or shutil.which("systemctl") is None, reason="systemd runs here, or is missing"
)
def test_systemd_that_does_not_run_is_named() -> None:
    said = esquirell("systemd", "status")
    assert (said.code, said.sentence) == (
        1,
        "this machine does not run systemd: start esquirell run instead",
    )
