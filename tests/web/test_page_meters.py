"""Changing, exchanging and removing a meter on the page."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from support.cli import esquirell_process
from support.page import Browser, Reply
from support.page_forms import OTHER_KEY, devices, form, upload
from support.page_house import House
from support.service import DPS, KEY, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

NEW = {"device_id": "id-often", "local_key": KEY}


def test_a_meter_from_a_list_to_its_end(house: House, barn: SimulatedMeter) -> None:
    browser = house.browser()
    found = upload(browser, "/add", devices(), command="upload", place="find")
    assert found.status == 200, found.words
    assert "Barn <1>" in found.words
    assert "id-barn" in found.words
    chosen = browser.get("/add?device=id-barn")
    assert 'placeholder="barn-1"' in chosen.text
    tried = browser.post("/add", form(barn, "meter/try"))
    assert tried.status == 200, tried.words
    assert "The device answers" in tried.words
    assert "1,064.21" in tried.words
    assert "barn" not in browser.get("/meters").words
    saved = browser.post("/add", form(barn, "meter/add"))
    assert saved.status == 303
    page = browser.get(saved.headers["Location"])
    assert "Meter added. Its settings are stored on" in page.words
    eventually(lambda: house.service.readings("barn") > 0, what="the service reads it")
    for reply in (found, chosen, tried, page, browser.get("/log")):
        assert KEY not in reply.text
    changed = browser.post(
        "/meters/barn", {"command": "meter/set", "place": "change", "label": "Stable", "area": ""}
    )
    assert changed.status == 200, changed.words
    assert "Stable" in changed.words
    assert "Yard" not in changed.words
    edit_what_somebody_else_changed(browser)
    edit_what_the_command_line_changed(browser, house)
    empty_what_was_set(browser)
    turn_a_clamp_round(browser)
    assert "/add?exchange=barn" in browser.get("/meters/barn").text
    exchange(browser, "barn")
    page = browser.get("/meters/barn")
    assert "Stable" in page.words
    assert "Other device" not in page.words
    removed = browser.post("/meters/barn", {"command": "meter/remove", "place": "change"})
    assert removed.status == 303
    words = browser.get(removed.headers["Location"]).words
    assert "barn was removed" in words
    assert browser.get("/meters/barn").status == 404


def edit_what_somebody_else_changed(browser: Browser) -> None:
    """Fill a form in while another browser saves another area; nothing is overwritten unseen."""
    (seen,) = re.findall(r'name="seen" value="(\w+)"', browser.get("/meters/barn").text)
    change = {"command": "meter/set", "place": "change"}
    assert browser.post("/meters/barn", change | {"area": "Meadow"}).status == 200
    mine = change | {"label": "Stable", "area": "Field", "seen": seen}
    refused = browser.post("/meters/barn", mine)
    assert refused.status == 422
    assert "Refused: the settings were changed elsewhere in the meantime" in refused.words
    assert "Meadow" in refused.words
    assert 'name="area" value="Field"' in refused.text
    (seen,) = re.findall(r'name="seen" value="(\w+)"', refused.text)
    assert "Field" in browser.post("/meters/barn", mine | {"seen": seen}).words


def edit_what_the_command_line_changed(browser: Browser, house: House) -> None:
    page = browser.get("/meters/barn").text
    (seen,) = re.findall(r'name="seen" value="(\w+)"', page)
    config = f"--config={house.service.config}"
    assert esquirell_process(config, "meters", "set", "barn", "--area", "Hill").code == 0
    mine = {"command": "meter/set", "place": "change", "area": "Field", "seen": seen}
    refused = browser.post("/meters/barn", mine)
    assert refused.status == 422
    assert "changed elsewhere in the meantime" in refused.words
    assert "Hill" in refused.words


def empty_what_was_set(browser: Browser) -> None:
    """What is emptied is as if it had never been set; what must be there is asked for."""
    change = {"command": "meter/set", "place": "change"}
    filled = browser.post("/meters/barn", change | {"product_id": "product-1", "area": "Hill"})
    assert "product-1" in filled.words
    emptied = browser.post("/meters/barn", change | {"product_id": "", "area": " "})
    assert "product-1" not in emptied.words
    assert "Hill" not in emptied.words, emptied.words
    refused = browser.post("/meters/barn", change | {"device_id": ""})
    assert refused.status == 422
    assert "Refused: device_id" in refused.words


def turn_a_clamp_round(browser: Browser) -> None:
    """What is on backwards is said on the page, for all clamps or for some phases."""

    def set_(**fields: str) -> Reply:
        return browser.post("/meters/barn", {"command": "meter/set", "place": "change"} | fields)

    def chosen() -> list[str]:
        page = browser.get("/meters/barn").text
        select = page.partition('name="invert"')[2].partition("</select>")[0]
        return re.findall(r'value="([^"]*)" selected', select)

    assert chosen() == ["no"]
    for wanted in ("all", "b", "a,c", "no"):
        assert set_(invert=wanted).status == 200
        assert chosen() == [wanted]
    refused = set_(invert="d", publish_every="5")
    assert refused.status == 422
    assert "Refused: invert" in refused.words
    set_(publish_every="5")
    assert 'name="publish_every" inputmode="numeric" value="5"' in browser.get("/meters/barn").text


def test_answers_for_a_new_meter_stay_when_a_number_is_invalid(house: House) -> None:
    browser = house.browser()
    fields = {"command": "meter/try", "by_hand": "1", "device_id": "id-new", "local_key": KEY}
    refused = browser.post("/add", fields | {"label": "Shed", "port": "many"})
    assert refused.status == 422
    assert "port: must be a whole number" in refused.words
    assert 'value="id-new"' in refused.text
    assert 'name="label" value="Shed"' in refused.text
    # The key is kept as well, but not shown.
    assert KEY not in refused.text
    assert "Its key is known: left empty, it is kept." in refused.words


def exchange(browser: Browser, name: str) -> None:
    """Replace the device of a meter by one of an uploaded list, as one is added."""
    other = simulated("other")
    try:
        listed = devices(id="id-other", name="Other device")
        about = {"exchange": name, "place": "find"}
        found = upload(browser, "/add", listed, command="upload", **about)
        assert f"/add?device=id-other&amp;exchange={name}" in found.text
        chosen = browser.get(f"/add?device=id-other&exchange={name}")
        assert "Does the counter start over?" in chosen.words
        fields = form(other, "meter/try", device="id-other", device_id="id-other", exchange=name)
        fields = {key: one for key, one in fields.items() if key not in {"name", "label", "area"}}
        assert "The device answers" in browser.post("/add", fields).words
        # The wrong key is said, and what was typed stays.
        wrong = fields | {"command": "meter/exchange", "local_key": OTHER_KEY}
        assert "Refused" in browser.post("/add", wrong).words
        right = wrong | {"local_key": KEY, "counter": "anew"}
        exchanged = browser.post("/add", right)
        assert exchanged.status == 303, exchanged.words
        assert "Device replaced" in browser.get(exchanged.headers["Location"]).words
        eventually(lambda: other.answers > 2, what="the new device is read")
        for reply in (found, chosen):
            assert KEY not in reply.text
    finally:
        other.stop()


def test_only_the_device_of_a_meter_that_was_added_is_exchanged_here(house: House) -> None:
    browser = house.browser()
    assert browser.get("/add?exchange=main").status == 404
    assert browser.get("/add?exchange=nobody").status == 404


def test_a_meter_that_reports_often_is_published_less_often(house: House) -> None:
    browser = house.browser()
    watts = itertools.count(100)
    with reporting("often", lambda: DPS | {"133": next(watts)}) as device:
        saved = browser.post("/add", form(device, "meter/add", name="often", device="", **NEW))
        assert saved.status == 303, saved.words
        words = browser.get(saved.headers["Location"]).words
        assert "so it is published every 10 seconds" in words
        gone = browser.post("/meters/often", {"command": "meter/remove", "place": "change"})
        assert gone.status == 303


@contextmanager
def reporting(name: str, dps: Callable[[], Mapping[str, object]]) -> Iterator[SimulatedMeter]:
    device = SimulatedMeter(f"id-{name}", KEY, "3.4", dps, report_s=1)
    device.start()
    yield device
    device.stop()
