"""The page in a real Chromium: every page and every change, by mouse, by keyboard, on a phone."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support.page_house import House
from support.service import KEY, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

if TYPE_CHECKING:
    from support.browser import Window

PAGES = (
    "",
    "history",
    "history?show=power&meter=main&meter=hung",
    "history?span=month&compare=1",
    "history?span=week&at=2026-01-05",
    "history?span=range&at=2026-01-05&until=2026-02-07",
    "history?show=cost&span=year",
    "meters",
    "meters/main",
    "meters/hung",
    "schedules",
    "log",
    "system",
    "add",
    "add?by_hand=1",
)


@pytest.fixture
def barn() -> Iterator[SimulatedMeter]:
    meter = simulated("barn")
    yield meter
    meter.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_a_fault_that_keeps_people_out(
    reader: "Window", axe: str, page: str, scheme: str
) -> None:
    reader.media(prefers_color_scheme=scheme)
    reader.open(page)
    assert violations(reader, axe) == []


def test_the_log_in_has_none_either(stranger: "Window", axe: str) -> None:
    for scheme in ("light", "dark"):
        stranger.media(prefers_color_scheme=scheme)
        stranger.open("login")
        assert violations(stranger, axe) == []


def violations(window: "Window", axe: str) -> list[tuple[str, ...]]:
    """Return what axe-core complains of, with everything unfolded."""
    unfold(window)
    # The page's own policy lets no foreign script in: it is put there from outside.
    window.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = window.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
        ".then((found) => done(JSON.stringify(found.violations)))"
    )
    return [
        (one["impact"], one["id"], one["help"], *(node["html"][:200] for node in one["nodes"][:3]))
        for one in json.loads(found)
    ]


def unfold(window: "Window") -> None:
    window.script("document.querySelectorAll('details').forEach((one) => { one.open = true })")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_requests_no_other_host_and_logs_no_error(reader: "Window", page: str) -> None:
    reader.driver.get_log("performance")
    assert reader.complaints is not None
    reader.open(page)
    assert reader.complaints == []
    entries = (
        json.loads(one["message"])["message"] for one in reader.driver.get_log("performance")
    )
    asked = [
        one["params"]["request"]["url"]
        for one in entries
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert [url for url in asked if not url.startswith((reader.base, "data:"))] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_page_fits_a_phone(reader: "Window", page: str, width: int) -> None:
    reader.size(width, 800, phone=True)
    reader.open(page)
    unfold(reader)
    assert reader.overflow <= 0
    assert reader.script(CUT) == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_in_german_too(reader: "Window", page: str, width: int) -> None:
    reader.language("de")
    reader.size(width, 800, phone=width < 400)
    reader.open(page)
    assert reader.script("return document.documentElement.lang") == "de"
    unfold(reader)
    assert reader.overflow <= 0
    assert reader.script(CUT) == []


# What people can't read: an element that is wider than its box, a squeezed pill or label.
CUT = """
const all = [...document.querySelectorAll("main *")].filter((one) => one.checkVisibility());
const meant = ".for-readers, thead, pre, select, svg";
const clips = (one) => ["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX);
const size = (one) => one.getBoundingClientRect();
const bad = all.filter((one) =>
  (!one.closest(meant) && clips(one) && one.scrollWidth > one.clientWidth + 1) ||
  (one.matches(".pill") && size(one).height > 40) ||
  (one.matches(".turn h2") && size(one).height > 120) ||
  (one.matches(".lengths a") && size(one).height > 60) ||
  (!one.closest(meant) && one.closest(".card") && one.parentElement.closest(".card") &&
    size(one).right > size(one.closest(".card")).right + 1) ||
  (one.dataset.label && one.textContent.trim() && size(one).width < 40));
return bad.map((one) => `${one.localName}.${one.className} ${one.textContent.trim()}`);
"""


@pytest.mark.parametrize("page", ["", "history", "meters", "meters/main", "schedules", "log"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_longest_names_fit(reader: "Window", page: str, width: int) -> None:
    reader.size(width, 800, phone=width < 400)
    reader.open(page)
    unfold(reader)
    names = "h1, h2, h3 a, .sub, .area, tbody th a, .check, .facts dd, .note, .pill + .sub"
    reader.script(
        "for (const one of document.querySelectorAll(arguments[0]))"
        " if (!one.children.length) one.textContent = arguments[1]",
        names,
        "Wohnungseigentümergemeinschaftsverwaltungszähler <b>Hinterhaus</b> 17",
    )
    assert reader.overflow <= 0
    assert reader.script(CUT) == []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_cut_on_a_desk(reader: "Window", page: str) -> None:
    reader.size(1280, 900)
    reader.open(page)
    unfold(reader)
    assert reader.overflow <= 0
    assert reader.script(CUT) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_printed_page_has_no_buttons(reader: "Window", page: str) -> None:
    reader.open(page)
    reader.printed()
    visible = (
        "return [...document.querySelectorAll('button, .button, nav a')]"
        ".filter((one) => one.checkVisibility()).map((one) => one.innerText)"
    )
    assert reader.script(visible) == []
    ground = reader.script("return getComputedStyle(document.body).backgroundColor")
    assert ground in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}


def test_now_is_live(window: "Window") -> None:
    window.open()
    window.says("exporting to the grid")
    place = "[data-place='main.age']"
    first = window.find(place).get_attribute("datetime")
    eventually(
        lambda: window.find(place).get_attribute("datetime") != first, what="the next reading"
    )


def test_the_page_of_a_meter_is_live(window: "Window") -> None:
    window.open("meters/main")
    place = "[data-place='main.age']"
    first = window.find(place).get_attribute("datetime")
    eventually(
        lambda: window.find(place).get_attribute("datetime") != first, what="the next reading"
    )
    assert window.find("[data-place='main:energy_import']").text == "1,064.21"
    assert window.complaints == []


def test_a_plot_shows_the_values_under_the_cursor(window: "Window") -> None:
    def has_points() -> bool:
        window.open("history?show=power&meter=main")
        return bool(window.script("return document.querySelector('figure')?.dataset.readout"))

    eventually(has_points, what="there is a picture")
    tell = "return document.querySelector('.readout').textContent"
    assert window.script(tell) == ""
    window.script("document.querySelector('figure.picture').focus()")
    window.press("\ue014")  # the right arrow
    assert "W" in window.script(tell)
    assert window.all("svg .p-cursor.on")
    window.press("\ue00c")  # escape
    assert window.script(tell) == ""
    window.script(
        "const drawn = [...document.querySelectorAll('svg.plot')];"
        "const svg = drawn.find((one) => one.checkVisibility());"
        "const box = svg.getBoundingClientRect();"
        "svg.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, "
        "clientX: box.left + box.width / 2, clientY: box.top + 50}))"
    )
    assert "Power" in window.script(tell)


def test_a_picture_of_today_shows_the_present(window: "Window") -> None:
    window.open("history?show=power&meter=main")
    point = "return document.querySelector('.wide svg.plot circle.p-live')?.getAttribute('cx')"
    first = eventually(lambda: window.script(point), what="a point")
    eventually(lambda: window.script(point) != first, what="it moves")
    window.open("history?show=power&meter=main&at=2026-01-05")
    assert window.all("figure.picture")
    assert window.all("circle.p-live") == []
    assert window.complaints == []


def test_a_meter_that_is_added_appears_on_now_and_a_removed_one_leaves_its_page(
    window: "Window", house: House, barn: SimulatedMeter
) -> None:
    window.open()
    browser = house.browser()
    fields = {
        "command": "meter/add",
        "place": "form",
        "name": "barn",
        "label": "New barn",
        "device_id": "id-barn",
        "local_key": KEY,
        "address": "127.0.0.1",
        "port": str(barn.port),
        "profile": "owon_pc321",
    }
    assert browser.post("/add", fields).status == 303
    window.says("New barn")
    window.open("meters/barn")
    window.says("New barn")
    remove = {"command": "meter/remove", "place": "change"}
    assert browser.post("/meters/barn", remove).status == 303
    window.says("Page not found")


def test_a_choice_is_shown_at_once(window: "Window") -> None:
    window.open("history")
    window.click("form[data-choose] [name=compare]")
    eventually(lambda: "compare=1" in window.driver.current_url, what="the page follows")
    window.click(".turn a[rel=prev]")
    eventually(lambda: window.all(".turn a[rel=next]"), what="the day before is shown")


def test_a_command_shows_its_whole_way_where_it_was_given(window: "Window") -> None:
    window.open("meters/main")
    window.click(".head form:nth-child(2) button")
    window.says("Accepted")
    window.says("The meter answers")
    window.says("Read in")
    assert window.find("main .answer .values")
    window.open("meters/hung")
    window.click(".head form:nth-child(2) button")
    window.says("Failed")


def test_every_change_of_a_schedule(window: "Window") -> None:
    window.open("schedules")
    window.click("details.add > summary")
    window.type("details.add [name=name]", "night")
    window.click("details.add [name=rule][value=cron]")
    window.type("details.add [name=cron]", "*/5 22-23 * * mon-fri")
    window.says("Every 5 minutes in the hours 22 and 23 on weekdays")
    window.click("details.add button.primary")
    window.says("Added")
    card = "#schedule-night"
    window.click(f"{card} .head form:nth-child(2) button")
    window.says("Paused")
    window.click(f"{card} .head form:nth-child(2) button")
    window.says("Resumed")
    window.click(f"{card} > details > summary")
    window.click(f"{card} [name=rule][value=every]")
    window.type(f"{card} [name=every]", "0")
    window.click(f"{card} .fields button.primary")
    window.says("Refused: every")
    problem = window.find(f"{card} .choice .problem")
    assert problem.text.startswith("Refused: every")
    assert window.script("return document.activeElement.name") == "every"
    window.type(f"{card} [name=every]", "90")
    window.click(f"{card} .fields button.primary")
    window.says("Saved")
    window.click(f"{card} .head form:nth-child(1) button")
    # One of the meters never answers.
    window.says("Failed: hung")
    window.click(f"{card} > details > summary")
    window.click(f"{card} button.danger")
    window.driver.switch_to.alert.accept()
    window.says("Removed")
    eventually(lambda: not window.all(card), what="it is gone")


def test_a_meter_is_added_changed_and_removed(
    window: "Window", house: House, barn: SimulatedMeter
) -> None:
    window.open("meters")
    window.click(".head a.primary")
    window.click("main a.button")
    window.type("[name=name]", "barn")
    window.type("[name=device_id]", "id-barn")
    window.type("[name=local_key]", KEY)
    window.type("[name=address]", "127.0.0.1")
    window.script("document.querySelector('[name=profile]').value = 'owon_pc321'")
    window.click("details.more > summary")
    window.type("[name=port]", str(barn.port))
    window.click("button[value='meter/try']")
    window.says("The device answers")
    window.says("1,064.21")
    window.click("button[value='meter/add']")
    window.says("Meter added")
    # The page follows the first reading by itself.
    window.says("Last reading: ")
    eventually(lambda: house.service.readings("barn") > 0, what="it is read")
    window.click("[data-keep=change] > summary")
    window.type("[data-keep=change] [name=label]", "Old barn")
    window.click("[data-keep=change] button.primary")
    window.says("Saved")
    window.says("Old barn")
    window.click("[data-keep=remove] > summary")
    window.click("[data-keep=remove] button.danger")
    window.driver.switch_to.alert.accept()
    window.says("barn was removed")


def test_without_a_script_all_of_it_works(window: "Window") -> None:
    window.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    window.open("schedules")
    window.click("#schedule-fetch .head form:nth-child(2) button")
    window.says("paused")
    window.click("#schedule-fetch .head form:nth-child(2) button")
    window.says("Resumed")
    window.click("#schedule-fetch .head form:nth-child(1) button")
    window.click("noscript a")
    window.says("Run a schedule")


def test_a_session_that_ends_leads_to_the_log_in(window: "Window") -> None:
    window.open("schedules")
    window.driver.delete_all_cookies()
    window.click("#schedule-fetch .head form:nth-child(1) button")
    window.says("Password")
