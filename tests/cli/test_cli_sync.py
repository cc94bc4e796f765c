"""`esquirell meters sync`: what the cloud lists, written where it belongs."""

import io
import tomllib
from collections.abc import Iterator

import pytest
from support.cli import Home, esquirell, meter
from support.service import KEY
from support.tuya_app import USER_CODE, TuyaApp
from support.tuya_app import device as app_device
from support.tuya_cloud import API_KEY, API_SECRET, PRODUCT, TuyaCloud, device

from esquirell.cli import accounts
from esquirell.settings import load

NEW_KEY = "n3w$key=(67'9abc"
ACCOUNT = f"""
[cloud]
api_key = "{API_KEY}"
api_secret = "{API_SECRET}"
url = """
FILE = 'local_key_file = "main.key"'


@pytest.fixture
def server() -> Iterator[TuyaCloud]:
    with TuyaCloud(device("id-main", local_key=NEW_KEY)) as server:
        yield server


def configure(home: Home, server: TuyaCloud, *meters: str) -> None:
    account = f"{ACCOUNT}'{server.url}'"
    home.configure(*(meters or [meter()]), account, state_dir=str(home.path / "state"))


def test_a_new_key_goes_into_its_file(home: Home, server: TuyaCloud) -> None:
    key = home.path / "main.key"
    key.write_text(KEY)
    key.chmod(0o644)
    configure(home, server, meter(local_key=FILE, comment="# mine"))
    said = esquirell("meters", "sync")
    exposed = f"warning: {key} holds a secret and every user can read it: chmod o= {key}\n"
    assert (said.code, said.err) == (0, exposed)
    assert said.out.startswith(f"main: new local key and product_id {PRODUCT}\nWritten: ")
    assert NEW_KEY not in said.out
    assert key.read_text() == f"{NEW_KEY}\n"
    assert key.stat().st_mode & 0o777 == 0o640
    settings = load(home.config, {})
    assert settings.meters[0].local_key.get_secret_value() == NEW_KEY
    assert settings.meters[0].product_id == PRODUCT
    assert "# mine" in home.config.read_text()


def test_a_key_in_the_configuration_is_changed_there(home: Home, server: TuyaCloud) -> None:
    configure(home, server)
    assert esquirell("meters", "sync", "--json").json == [
        {"name": "main", "changes": ["local_key", "product_id"], "error": None}
    ]
    assert tomllib.loads(home.config.read_text())["meters"][0]["local_key"] == NEW_KEY
    assert esquirell("meters", "sync").out == "main: up to date\n"


def test_what_the_cloud_says_of_the_device_is_kept(home: Home, server: TuyaCloud) -> None:
    configure(home, server)
    esquirell("meters", "sync")
    (note,) = (home.path / "state" / "devices").iterdir()
    assert "cur_voltage" in note.read_text()
    assert NEW_KEY not in note.read_text()


def test_a_meter_that_the_cloud_does_not_list_is_reported(home: Home, server: TuyaCloud) -> None:
    configure(home, server, meter(), meter("garage"))
    said = esquirell("meters", "sync")
    assert said.code == 1
    assert "esquirell: garage: the Tuya cloud refuses the request (code 1106)" in said.err
    assert load(home.config, {}).meters[0].local_key.get_secret_value() == NEW_KEY


def test_sync_without_an_account_says_what_to_set(home: Home) -> None:
    home.configure(meter())
    said = esquirell("meters", "sync")
    assert said.code == 2
    assert said.sentence.endswith("set api_key and api_secret under [cloud]")


def test_a_key_from_elsewhere_is_not_written(
    home: Home, server: TuyaCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESQUIRELL_METERS__MAIN__LOCAL_KEY", KEY)
    configure(home, server, meter(local_key=""))
    before = home.config.read_text()
    said = esquirell("meters", "sync")
    assert said.code == 2
    assert "comes from a variable or a folder of secrets" in said.err
    assert home.config.read_text() == before


def test_keys_come_from_the_app_without_an_account_in_the_cloud(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(meter(), meter("garage"), state_dir=str(home.path / "state"))
    assert "add --from-app, or set api_key" in esquirell("meters", "sync").err
    monkeypatch.setattr(accounts, "ASK_AGAIN_S", 0.01)
    with TuyaApp(app_device("id-main", local_key=NEW_KEY)) as app:
        monkeypatch.setenv("ESQUIRELL_CLOUD__APP_URL", app.url)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{USER_CODE}\n"))
        said = esquirell("meters", "sync", "--from-app")
    assert said.code == 1
    assert f"main: new local key and product_id {PRODUCT}\n" in said.out
    assert "garage: the account of the app has no device id-garage" in said.err
    assert NEW_KEY not in said.out + said.err
    assert load(home.config, {}).meters[0].local_key.get_secret_value() == NEW_KEY
    assert esquirell("meters", "sync", "--from-app", "--json").code == 2
