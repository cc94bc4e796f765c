"""`esquirell init --from-app`: meters from the account of the app, which scans a QR code."""

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from support.init_command import names, refusal, run
from support.tuya_app import USER_CODE, TuyaApp, device

from esquirell.cli import accounts, guide
from esquirell.domain.errors import MeterError
from esquirell.settings import load

KEY = "app$key=(6789abc"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[TuyaApp]:
    lamp = device(
        "bf02", name="Lamp", category="dj", product_id="lamp", local_key="lamp456789abcdef"
    )
    gateway = device(
        "bfgw", name="Gateway", category="wg2", product_id="gw", local_key="gw34567890abcdef"
    )
    child = device("bf03", name="Fridge", sub=True, local_key="gw34567890abcdef", uuid="a4c138")
    monkeypatch.setattr(accounts, "ASK_AGAIN_S", 0.01)
    with TuyaApp(device("bf01"), lamp, gateway, child, scanned_after=3) as cloud:
        monkeypatch.setenv("ESQUIRELL_CLOUD__APP_URL", cloud.url)
        yield cloud


@pytest.mark.usefixtures("app")
def test_devices_of_the_app_become_meters(folder: Path) -> None:
    result = run("--from-app", answers=[USER_CODE])
    assert result.exit_code == 0, result.output
    plug, fridge = load(folder / "esquirell.toml", {}).meters
    assert (plug.name, plug.label, plug.address, plug.profile) == ("plug", "Plug", "auto", "plug")
    assert plug.local_key.get_secret_value() == KEY
    assert (fridge.gateway, fridge.cid) == ("bfgw", "a4c138")
    assert "Lamp: left out" in result.output
    assert KEY not in result.output
    assert "203.0.113.7" not in (folder / "devices.json").read_text()
    assert stat.S_IMODE((folder / "devices.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("app", "folder")
def test_an_empty_answer_is_not_passed_over_in_silence() -> None:
    result = run("--from-app", answers=["", USER_CODE])
    assert "an answer is needed here; Ctrl-C ends" in result.output
    assert result.exit_code == 0, result.output


def test_the_code_is_drawn_and_the_permission_given_back(folder: Path, app: TuyaApp) -> None:
    result = run("--from-app", answers=[USER_CODE])
    rows = [line for line in result.output.splitlines() if line.startswith("██")]
    assert len({len(row) for row in rows}) == 1
    assert len(rows) > 10
    assert "qr-token-1" not in result.output
    assert app.logged_out
    (points,) = [entry["mapping"] for entry in _listed(folder) if entry["id"] == "bf01"]
    assert points["19"]["code"] == "cur_power"
    assert json.loads(points["19"]["values"])["scale"] == 1


@pytest.mark.usefixtures("app")
def test_nothing_of_a_login_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert run("--from-app", answers=[USER_CODE]).exit_code == 0
    assert names(folder)
    for secret in (USER_CODE, "qr-token-1", "access-token-1", "refresh-token-1", KEY):
        assert secret not in caplog.text


def test_each_product_is_asked_about_once(folder: Path, app: TuyaApp) -> None:
    app.devices = tuple(device(f"bf{number:02}") for number in range(30))
    assert run("--from-app", answers=[USER_CODE]).exit_code == 0
    assert sum(path.endswith("/status") for path in app.asked) == 1
    assert len(load(folder / "esquirell.toml", {}).meters) == 30


@pytest.mark.usefixtures("app")
def test_a_wrong_user_code_says_where_the_right_one_is(folder: Path) -> None:
    sentence = str(run("--from-app", answers=["wrong"]).exception)
    assert sentence.startswith("Tuya gives no QR code (code -9999999: user code is wrong)")
    assert "Account and Security > User Code" in sentence
    assert names(folder) == []


@pytest.mark.usefixtures("app")
def test_a_code_that_is_not_scanned_ends_the_wait(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "VALID_S", 0.0)
    assert "was not scanned and confirmed within five minutes (Tuya says code" in str(
        run("--from-app", answers=[USER_CODE]).exception
    )
    assert names(folder) == []


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (b"<html>captive portal</html>", "what answers is not Tuya"),
        (b"[]", "in a form that is not known"),
        (b'{"success": true}', "in a form that is not known"),
        (b'{"success": true, "result": null, "t": 1}', "in a form that is not known"),
    ],
)
def test_an_invalid_answer_is_one_sentence(app: TuyaApp, broken: bytes, sentence: str) -> None:
    app.broken = broken
    error = run("--from-app", answers=[USER_CODE]).exception
    assert isinstance(error, MeterError)
    assert sentence in str(error)


def test_a_cloud_that_can_t_be_reached_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESQUIRELL_CLOUD__APP_URL", "http://127.0.0.1:9")
    error = run("--from-app", answers=[USER_CODE]).exception
    assert str(error).startswith("Tuya can't be reached (ConnectionError)")


def test_a_failure_while_the_app_is_awaited_does_not_end_the_wait(
    folder: Path, app: TuyaApp
) -> None:
    class Flaky(list[str]):
        def append(self, asked: str) -> None:
            super().append(asked)
            # The second question after the code; 503 has no JSON in it.
            app.broken = b"Service Unavailable" if len(self) == 2 else b""

    app.asked = Flaky()
    assert run("--from-app", answers=[USER_CODE]).exit_code == 0
    assert len(load(folder / "esquirell.toml", {}).meters) == 2


def test_a_device_without_described_datapoints_costs_no_other(folder: Path, app: TuyaApp) -> None:
    odd = device("bf04", name="Odd", product_id="odd", category="cz")
    app.devices = (odd, *app.devices)
    app.points["bf04"] = None
    assert run("--from-app", answers=[USER_CODE]).exit_code == 0
    assert "plug" in [meter.name for meter in load(folder / "esquirell.toml", {}).meters]


def test_a_device_without_a_key_gets_no_gateway(folder: Path, app: TuyaApp) -> None:
    lock = device("bf05", name="Lock", category="ms", product_id="lock", local_key="")
    app.devices = (lock, device("bf06", name="Sub", sub=True, local_key=""), *app.devices)
    assert run("--from-app", answers=[USER_CODE]).exit_code == 0
    (parent,) = [entry["parent"] for entry in _listed(folder) if entry["id"] == "bf06"]
    assert parent == ""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("garbled", "in a form that is not known (InvalidTag)"), ("down", "report an internal error")],
)
def test_a_list_that_can_t_be_read_is_one_sentence(
    folder: Path, app: TuyaApp, fault: str, sentence: str
) -> None:
    class Faulty(list[str]):
        def append(self, asked: str) -> None:
            super().append(asked)
            if "qrcode" not in asked:
                app.errors = 2 if fault == "down" else 0
                app.refresh = "another" if fault == "garbled" else app.refresh

    app.asked = Faulty()
    error = run("--from-app", answers=[USER_CODE]).exception
    assert isinstance(error, MeterError)
    assert sentence in str(error)
    assert error.__cause__ is None
    assert names(folder) == []


def test_only_one_way_is_taken(folder: Path) -> None:
    assert run("--from-app", "--from-cloud").exit_code == 2
    (folder / "devices.json").write_text("[]")
    assert "devices.json already exists" in refusal("--from-app")


def _listed(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "devices.json").read_text())
    return listed


@pytest.mark.usefixtures("app")
def test_the_key_of_a_meter_that_was_found_comes_from_the_app() -> None:
    @click.command()
    def ask() -> None:
        assert guide.known_key("bf01") == KEY
        assert guide.known_key("bf99") is None

    said = CliRunner().invoke(
        ask, input=f"app\n{USER_CODE}\n\n{USER_CODE}\n", catch_exceptions=False
    )
    assert "the account of the app has no device bf99" in said.output
