"""What people do to forms: two at once, a session that ends, a service that is away, proxies."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.buffering_proxy import buffering_proxy
from support.page import PASSWORD, await_page
from support.page_house import House
from support.waiting import eventually

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings

if TYPE_CHECKING:
    from support.browser import Window

CARD = "#schedule-fetch"
FORM = f"{CARD} form.fields"


def open_form(window: "Window") -> None:
    window.open("schedules")
    window.click(f"{CARD} > details > summary")


def typed(window: "Window", name: str) -> str:
    return str(window.script(f"return document.querySelector('{FORM} [name={name}]').value"))


def commands(house: House, command: str) -> int:
    rows = house.service.rows("SELECT count(*) FROM command_log WHERE command = ?", command)
    return int(str(rows[0][0]))


def test_the_second_of_two_conflicting_changes_of_a_schedule_is_refused(
    window: "Window", house: House
) -> None:
    open_form(window)
    window.type(f"{FORM} [name=every]", "7")
    other = house.browser()
    fields = {"command": "schedule/set", "place": "fetch", "name": "fetch", "rule": "every"}
    reply = other.post("/schedules", fields | {"every": "3", "unit": "1", "all_meters": "1"})
    assert "Saved" in reply.words
    window.click(f"{FORM} button.primary")
    window.says("Refused: the settings were changed elsewhere in the meantime")
    assert "every 3 s" in window.words
    assert typed(window, "every") == "7"
    window.click(f"{FORM} button.primary")
    window.says("Saved")
    window.says("every 7 s")


def test_a_session_that_ends_takes_nothing_with_it(window: "Window") -> None:
    open_form(window)
    window.type(f"{FORM} [name=every]", "8")
    window.driver.delete_all_cookies()
    window.click(f"{FORM} button.primary")
    window.says("your session has ended")
    assert typed(window, "every") == "8"
    first = window.driver.current_window_handle
    window.click(f"{FORM} .problem a")
    window.driver.switch_to.window(window.driver.window_handles[-1])
    window.type("[name=password]", PASSWORD)
    window.click("button.primary")
    eventually(lambda: "login" not in window.driver.current_url, what="the log-in")
    window.driver.close()
    window.driver.switch_to.window(first)
    window.click(f"{FORM} button.primary")
    window.says("every 8 s")


def test_what_is_typed_in_one_form_stays_while_another_is_answered(window: "Window") -> None:
    window.open("schedules")
    window.click("details.add > summary")
    window.type("details.add [name=name]", "evening")
    window.click(f"{CARD} .head form:nth-child(2) button")
    window.says("Paused")
    assert window.find("details.add [name=name]").get_attribute("value") == "evening"
    assert window.find("details.add [name=name]").is_displayed()
    window.click(f"{CARD} .head form:nth-child(2) button")
    window.says("Resumed")


def test_a_double_click_is_one_command(window: "Window", house: House) -> None:
    window.open("schedules")
    before = commands(house, "schedule/run")
    button = f"{CARD} .head form:nth-child(1) button"
    window.script(
        "const one = document.querySelector(arguments[0]); one.click(); one.click()", button
    )
    window.says("Failed")
    assert commands(house, "schedule/run") == before + 1


def test_after_a_change_the_back_button_leads_to_the_page_before(window: "Window") -> None:
    window.open("meters")
    open_form(window)
    window.type(f"{FORM} [name=every]", "9")
    window.click(f"{FORM} button.primary")
    window.says("every 9 s")
    window.driver.back()
    window.says("Read all now")
    window.driver.forward()
    window.says("every 9 s")


def test_the_page_keeps_its_content_while_the_service_is_down(
    window: "Window", house: House
) -> None:
    open_form(window)
    window.type(f"{FORM} [name=every]", "2")
    house.service.stop()
    window.click(f"{FORM} button.primary")
    window.says("esquirell can't be reached")
    assert typed(window, "every") == "2"
    house.service.start()
    await_page(house.port)
    window.click(f"{FORM} button.primary")
    window.says("every 2 s")


def test_an_open_page_is_live_again_after_a_restart(window: "Window", house: House) -> None:
    window.open()
    window.says("online")
    house.service.stop()
    eventually(lambda: window.all("body.stale"), what="it is known that nothing comes")
    window.says("The connection to esquirell is lost")
    house.service.start()
    eventually(lambda: not window.all("body.stale"), what="it is live again")
    assert "is lost" not in window.words


def test_an_open_list_is_kept_current(window: "Window", house: House) -> None:
    window.open("schedules")
    focused = "return document.activeElement.innerText"
    window.script(f"document.querySelector('{CARD} .head form:nth-child(1) button').focus()")
    pause = {"command": "schedule/disable", "place": "fetch", "name": "fetch"}
    house.browser().post("/schedules", pause)
    window.says("paused")
    # The focus stays where it was.
    assert window.script(focused) == "Run now"
    house.browser().post("/schedules", pause | {"command": "schedule/enable"})
    house.service.stop()
    window.says("The connection to esquirell is lost")
    house.service.start()
    eventually(lambda: "is lost" not in window.words, what="it is live again")
    assert window.script(focused) == "Run now"


def test_history_shows_its_plot_once_statistics_exist(window: "Window", house: House) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    stored = [
        Reading("old", midnight + timedelta(hours=number), {"energy_import": float(number)})
        for number in range(4 * 24)
    ]
    database = Database(f"sqlite:///{house.service.database}")
    Readings(database).add(stored, {"old": MeterStatus(keys=("energy_import",))})
    database.close()
    with closing(sqlite3.connect(house.service.database)) as other:
        # Nothing can be worked up while somebody else writes.
        other.execute("BEGIN IMMEDIATE")
        window.open("history?meter=old&span=month&at=2026-03-01")
        window.says("0 of 4 days done")
        other.rollback()
    window.find("figure.picture svg.plot")
    window.says("95.00")
    # Its pictures answer to the cursor as if they had been there from the start.
    window.script("document.querySelector('figure.picture').focus()")
    window.press("\ue014")
    eventually(lambda: window.find(".readout").text != "", what="the read-out")


@pytest.fixture
def collected(house: House) -> "Iterator[Window]":
    """A window behind a proxy that hands a stream on only when it has ended."""
    from support.browser import chromium  # noqa: PLC0415 - only `make browser` installs selenium

    with (
        buffering_proxy(house.port) as port,
        chromium(f"http://127.0.0.1:{port}/") as window,
    ):
        window.log_in(PASSWORD)
        yield window


def test_behind_a_proxy_that_collects_the_stream_the_page_is_renewed(collected: "Window") -> None:
    collected.open()
    shown = "return document.querySelector('[data-place=\"main.age\"]').dateTime"
    before = collected.script(shown)
    eventually(lambda: collected.script(shown) > before, what="a newer reading is shown")
