"""Adding a meter whose key comes from the account of the app, which scans a QR code on the page."""

from collections.abc import Iterator

import pytest
from support.page_house import House, running_house
from support.tuya_app import USER_CODE, TuyaApp, device

from esquirell.web.candidates import BROWSERS, KEEP_CODE_S, KeptForBrowsers

KEY = "app$key=(6789abc"
SHOW = {"command": "app", "place": "find", "user_code": USER_CODE}
CONFIRMED = {"command": "app/confirmed", "place": "find"}


@pytest.fixture(scope="module")
def app() -> Iterator[TuyaApp]:
    with TuyaApp(
        device("id-plug", name="Plug <b>"), device("id-lamp", category="dj", product_id="lamp")
    ) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, app: TuyaApp) -> Iterator[House]:
    account = f'[cloud]\napp_url = "{app.url}"'
    with running_house(tmp_path_factory.mktemp("house"), account) as house:
        yield house


def test_the_devices_of_the_app_can_be_chosen(house: House, app: TuyaApp) -> None:
    browser, other = house.browser(), house.browser()
    shown = browser.post("/add", SHOW)
    assert (shown.status, "qr-code" in shown.text) == (200, True)
    assert 'aria-label="QR code for the app"' in shown.text
    assert "QR code for the app" not in other.get("/add").text
    early = browser.post("/add", CONFIRMED)
    assert early.status == 422
    assert "the app has not confirmed yet" in early.words
    assert "qr-code" in early.text
    listed = browser.post("/add", CONFIRMED)
    assert "Plug <b>" in listed.words
    assert "1 device left out" in listed.words
    assert "/add?device=id-plug" in listed.text
    assert app.logged_out
    assert KEY not in listed.text + browser.get("/add?device=id-plug").text
    assert "QR code for the app" not in listed.text


def test_another_code_can_be_asked_for(house: House) -> None:
    browser = house.browser()
    assert "qr-code" in browser.post("/add", SHOW).text
    again = browser.post("/add", {"command": "app/again", "place": "find"})
    assert ("qr-code" in again.text, 'name="user_code"' in again.text) == (False, True)


def test_a_wrong_user_code_is_refused_with_the_place_of_the_right_one(house: House) -> None:
    browser = house.browser()
    refused = browser.post("/add", SHOW | {"user_code": "wrong"})
    assert refused.status == 502
    assert "Account and Security > User Code" in refused.words
    empty = browser.post("/add", SHOW | {"user_code": " "})
    assert (empty.status, "type the user code first" in empty.words) == (422, True)


def test_without_a_code_there_is_nothing_to_confirm(house: House) -> None:
    refused = house.browser().post("/add", CONFIRMED)
    assert (refused.status, "the QR code has expired" in refused.words) == (422, True)


def test_nothing_of_a_login_is_logged_or_kept(house: House) -> None:
    browser = house.browser()
    browser.post("/add", SHOW)
    secrets = (USER_CODE, "qr-token-1", KEY, "access-token-1")
    assert not [secret for secret in secrets if secret in house.service.log]
    rows = str(house.service.rows("SELECT * FROM command_log"))
    assert not [secret for secret in secrets if secret in rows]


def test_codes_are_forgotten_after_a_while_and_few_are_kept() -> None:
    now = 0.0
    logins = KeptForBrowsers[str](KEEP_CODE_S, lambda: now)
    begun = [f"login {number}" for number in range(BROWSERS + 1)]
    for number, login in enumerate(begun):
        logins.put(str(number), login)
    assert [logins.of(name) for name in ("0", "1", str(BROWSERS))] == [None, begun[1], begun[-1]]
    now = KEEP_CODE_S + 1
    assert logins.of("1") is None
