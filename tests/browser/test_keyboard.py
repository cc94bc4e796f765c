"""Every change of every page by keyboard alone; where the focus is can be seen at each step."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("selenium", reason="make browser installs what steers Chromium")

from support.browser_keys import ALL, DOWN, ENTER, ESCAPE, RIGHT, SPACE, Keyboard
from support.page import PASSWORD
from support.page_house import House
from support.service import KEY, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

if TYPE_CHECKING:
    from support.browser import Window


@pytest.fixture
def keys(window: "Window") -> Keyboard:
    return Keyboard(window)


@pytest.fixture
def devices() -> Iterator[list[SimulatedMeter]]:
    found = [simulated("barn"), simulated("other")]
    yield found
    for device in found:
        device.stop()


def test_log_in_and_out(stranger: "Window") -> None:
    keys = Keyboard(stranger)
    stranger.open("login")
    keys.press(*PASSWORD, ENTER)
    stranger.says("Whole house")
    keys.tab()
    assert stranger.focused == "Skip to the content"
    keys.press(ENTER)
    assert keys.place == "main"
    stranger.open()
    keys.to("Log out")
    keys.press(ENTER)
    stranger.says("Password")


def test_every_change_of_a_schedule(keys: Keyboard) -> None:
    window = keys.window
    window.open("schedules")
    keys.to("Add a schedule")
    keys.press(ENTER)
    keys.to("name")
    keys.press(*"early")
    keys.to("rule")
    keys.press(DOWN)
    keys.to("cron")
    keys.press(ALL, *"0 5 * * *")
    keys.to("Add")
    keys.press(ENTER)
    window.says("Added")
    assert keys.place == "answer"
    card = "#schedule-early"
    for button, answer in (
        ("Pause", "Paused"),
        ("Resume", "Resumed"),
        ("Run now", "Failed: hung"),
    ):
        keys.to(button, card)
        keys.press(ENTER)
        window.says(answer)
        assert keys.place == "answer"
    keys.to("Change", card)
    keys.press(ENTER)
    keys.to("cron", card)
    keys.press(ALL, *"0 4 * * *")
    keys.to("Save", card)
    keys.press(ENTER)
    window.says("Saved")
    window.says("At 04:00")
    assert keys.place == "answer"
    keys.to("Change", card)
    keys.press(ENTER)
    keys.to("Remove", card)
    keys.press(ENTER)
    window.driver.switch_to.alert.accept()
    window.says("Removed")
    assert keys.place == "answer"


def test_a_refused_field_has_the_focus(keys: Keyboard) -> None:
    window = keys.window
    window.open("schedules")
    card = "#schedule-fetch"
    keys.to("Change", card)
    keys.press(ENTER)
    keys.to("every", card)
    keys.press(ALL, "0", ENTER)
    window.says("Refused: every")
    eventually(lambda: window.focused == "every", what="the field")
    described = "return document.activeElement.getAttribute('aria-describedby')"
    assert "problem-of-field" in window.script(described)


def test_every_change_of_a_meter(
    keys: Keyboard, house: House, devices: list[SimulatedMeter]
) -> None:
    window = keys.window
    barn, other = devices
    window.open("meters")
    keys.to("Add a meter")
    keys.press(ENTER)
    keys.to("Enter settings")
    keys.press(ENTER)
    type_device(keys, "id-barn", barn.port)
    keys.to("label")
    keys.press(*"Barn")
    keys.to("Read once")
    keys.press(ENTER)
    window.says("The device answers")
    keys.to("Save")
    keys.press(ENTER)
    window.says("Meter added")
    keys.to("Settings")
    keys.press(ENTER)
    keys.to("label")
    keys.press(ALL, *"Old barn", ENTER)
    window.says("Saved")
    assert keys.place == "answer"
    keys.to("Replace the device")
    keys.press(ENTER)
    keys.to("Enter settings")
    keys.press(ENTER)
    type_device(keys, "id-other", other.port)
    keys.to("counter")
    keys.press(DOWN)
    keys.to("Read once")
    keys.press(ENTER)
    window.says("The device answers")
    keys.to("Replace")
    keys.press(ENTER)
    window.says("Device replaced")
    assert house.service.readings("barn") > 0
    keys.to("Remove")
    keys.press(ENTER)
    keys.to("forget")
    keys.press(SPACE)
    keys.to("Remove this meter")
    keys.press(ENTER)
    window.driver.switch_to.alert.accept()
    window.says("barn was removed")


def type_device(keys: Keyboard, device_id: str, port: int) -> None:
    keys.to("device_id")
    keys.press(*device_id)
    keys.to("local_key")
    keys.press(*KEY)
    keys.to("address")
    keys.press(ALL, *"127.0.0.1")
    keys.to("profile")
    keys.press(*"owon pc321")
    keys.to("More settings")
    keys.press(ENTER)
    keys.to("port")
    keys.press(ALL, *str(port))


def test_the_past_is_turned_over_and_read_out(keys: Keyboard) -> None:
    window = keys.window
    window.open("history")
    keys.to("Month")
    keys.press(ENTER)
    eventually(lambda: "span=month" in window.driver.current_url, what="a month")
    keys.to("←")
    keys.press(ENTER)
    eventually(lambda: window.all(".turn a[rel=next]"), what="the month before")
    keys.to("show")
    keys.press(*"power")
    eventually(lambda: "show=power" in window.driver.current_url, what="its power")
    window.open("history?show=power&meter=main")
    keys.to_place("figure")
    keys.press(RIGHT)
    assert window.find(".readout").text
    keys.press(ESCAPE)
    assert not window.find(".readout").text
    keys.to("Table")
    was_open = bool(window.all("details[data-keep][open] table"))
    keys.press(ENTER)
    eventually(
        lambda: bool(window.all("details[data-keep][open] table")) != was_open, what="the table"
    )


def test_meters_are_read_and_a_backup_is_reached(keys: Keyboard) -> None:
    window = keys.window
    window.open("meters")
    keys.to("Read all now")
    keys.press(ENTER)
    window.says("Accepted")
    assert keys.place == "answer"
    window.open("meters/main")
    keys.to("Test")
    keys.press(ENTER)
    window.says("The meter answers")
    window.open("system")
    keys.to("Download a backup")
