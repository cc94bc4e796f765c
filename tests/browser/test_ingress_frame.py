"""The page within Home Assistant's own, in a real Chromium: through a proxy that is as its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.ingress import FRAME, PATH, App, home_assistant, page_with, running_app, serving
from support.waiting import eventually

if TYPE_CHECKING:
    from support.browser import Window


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture(scope="module")
def proxy(app: App) -> Iterator[int]:
    with home_assistant(app) as port:
        yield port


@pytest.fixture
def framed(proxy: int) -> "Iterator[Window]":
    """A window of Home Assistant, and the app in its frame has the word."""
    from support.browser import chromium  # noqa: PLC0415 - only `make browser` installs selenium

    with chromium(f"http://127.0.0.1:{proxy}/") as window:
        window.open()
        window.driver.switch_to.frame(0)
        yield window


def test_the_first_page_is_there_without_a_log_in_and_live(framed: "Window") -> None:
    framed.says("Whole house")
    assert "Log out" not in framed.words
    place = "[data-place='main.age']"
    first = framed.find(place).get_attribute("datetime")
    eventually(
        lambda: framed.find(place).get_attribute("datetime") != first, what="the next reading"
    )
    assert framed.complaints == []


def test_every_link_stays_in_the_frame(framed: "Window") -> None:
    for number, heading in enumerate(("History", "Meters", "Schedules", "Log", "System"), start=2):
        framed.click(f".bar nav a:nth-child({number})")
        framed.says(heading)
        eventually(
            lambda heading=heading: framed.script("return document.title").startswith(heading),  # type: ignore[misc]  # bound at once
            what=heading,
        )
        assert framed.script("return location.pathname").startswith(f"{PATH}/")
    assert framed.complaints == []


def test_forms_work_there(framed: "Window", app: App) -> None:
    framed.click(".bar nav a:nth-child(4)")
    framed.click("#schedule-fetch .head form:nth-child(2) button")
    framed.says("Paused")
    framed.click("#schedule-fetch .head form:nth-child(2) button")
    framed.says("Resumed")
    framed.click(".bar nav a:nth-child(3)")
    framed.click("tbody a")
    framed.click(".head form:nth-child(2) button")
    framed.says("The meter answers")
    answered = "SELECT status FROM command_log WHERE command = 'meter/test'"
    assert ("ok",) in app.rows(answered)
    assert framed.complaints == []


def test_a_file_that_is_uploaded_arrives_in_chunks(framed: "Window", tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    file.write_text('[{"name": "Barn", "id": "id-barn", "key": "0123456789abcdef"}]')
    framed.click(".bar nav a:nth-child(3)")
    framed.click(".head a.primary")
    framed.find("[name=devices]").send_keys(str(file))
    framed.click("form[enctype] button")
    framed.says("Devices found")
    framed.says("id-barn")


def test_downloads_arrive(framed: "Window", tmp_path: Path) -> None:
    framed.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    framed.click(".bar nav a:nth-child(6)")
    framed.click("form[action$='/system/backup'] button")
    (backup,) = eventually(lambda: list(tmp_path.glob("esquirell-*.backup")), what="the backup")
    assert backup.stat().st_size > 1000
    framed.click(".bar nav a:nth-child(2)")
    framed.click("a[href*='history.csv']")
    (table,) = eventually(lambda: list(tmp_path.glob("esquirell-*.csv")), what="the table")
    eventually(lambda: table.read_text().startswith("start"), what=table.read_text)


def test_a_foreign_page_cannot_embed_it(proxy: int) -> None:
    from support.browser import chromium  # noqa: PLC0415 - as above

    page = page_with(FRAME % f"http://127.0.0.1:{proxy}")
    with serving(page) as port, chromium(f"http://127.0.0.1:{port}/") as window:
        window.open()
        eventually(lambda: "frame-ancestors" in " ".join(window.complaints), what="it is refused")
        window.driver.switch_to.frame(0)
        assert "Whole house" not in window.words
