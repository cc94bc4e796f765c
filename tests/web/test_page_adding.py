"""Adding meters on the page: found, uploaded or typed."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.page import Reply
from support.page_forms import OTHER_KEY, devices, form, upload
from support.page_house import House
from support.service import KEY
from support.tuya_devices import FakeDevice, say_nothing
from support.waiting import LIMIT_S, eventually

from esquirell.tuya.simulator import SimulatedMeter


def test_a_device_that_does_not_answer_is_saved_only_if_that_is_wanted(house: House) -> None:
    browser = house.browser()
    fields = {
        "command": "meter/add",
        "place": "form",
        "name": "attic",
        "device_id": "id-attic",
        "local_key": OTHER_KEY,
        "address": "127.0.0.1",
        "port": "1",
        "protocol": "3.4",
    }
    refused = browser.post("/add", fields)
    assert refused.status == 502
    assert "Refused" in refused.words
    assert "Save without reading" in refused.words
    assert OTHER_KEY not in refused.text
    # What was typed is remembered, the key too, which no browser sees again.
    again = {key: value for key, value in fields.items() if key != "local_key"}
    # The button says no more than that.
    again.pop("command")
    saved = browser.post("/add", again | {"device": "id-attic", "untested": "1"})
    assert saved.status == 303, saved.words
    eventually(lambda: "offline" in browser.get("/meters/attic").words, what="it is offline")
    words = browser.get("/meters/attic").words
    assert "unreachable" in words
    assert (
        browser.post("/meters/attic", {"command": "meter/remove", "place": "change"}).status == 303
    )


def test_a_wrong_key_is_taken_from_a_list_or_typed(house: House, barn: SimulatedMeter) -> None:
    browser = house.browser()
    wrong = form(barn, "meter/add", name="keyed", local_key=OTHER_KEY, untested="1", device="")
    assert browser.post("/add", wrong).status == 303
    eventually(lambda: "wrong local key" in browser.get("/meters/keyed").words)
    assert "Use this key" in browser.get("/meters/keyed").words
    browser.post("/meters/keyed", {"command": "meter/test", "place": "meter"})
    eventually(lambda: "Recent errors" in browser.get("/meters/keyed").words)
    refused = upload(browser, "/meters/keyed", devices(id="x"), command="key/file", place="meter")
    assert "the file does not contain this device" in refused.words
    taken = upload(browser, "/meters/keyed", devices(), command="key/file", place="meter")
    assert taken.status == 200, taken.words
    eventually(lambda: house.service.readings("keyed") > 0, what="it is read with the new key")
    assert KEY not in taken.text
    typed = browser.post(
        "/meters/keyed", {"command": "meter/set", "place": "meter", "local_key": "x"}
    )
    assert "local_key has 1 characters" in typed.words
    assert (
        browser.post("/meters/keyed", {"command": "meter/remove", "place": "change"}).status == 303
    )


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"{", 422, "is not JSON"),
        (b'{"a": 1}', 422, "is not a list of devices"),
        (b"[]", 422, "the list contains no device"),
        (b"[" * 100_000, 422, "is not JSON"),
        (b"x" * (1024 * 1024 + 1), 413, "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    house: House, content: bytes, status: int, said: str
) -> None:
    browser = house.browser()
    reply = upload(browser, "/add", content, command="upload", place="find")
    assert (reply.status, said in reply.words) == (status, True), reply.words


def test_without_a_name_it_is_made_of_the_label(house: House, barn: SimulatedMeter) -> None:
    browser = house.browser()
    fields = form(barn, "meter/add", name="", label="Küche 2", local_key=KEY, device="")
    saved = browser.post("/add", fields)
    assert saved.status == 303, saved.words
    assert saved.headers["Location"].startswith("/meters/kueche-2?")
    remove = {"command": "meter/remove", "place": "change"}
    assert browser.post("/meters/kueche-2", remove).status == 303


def test_devices_that_are_left_out_are_named_with_the_reason(house: House) -> None:
    browser = house.browser()
    lamp = json.loads(
        devices(name="Lamp <i>", id="id-lamp", category="dj", product_id="", mapping={})
    )
    behind = json.loads(
        devices(name="Behind", id="id-sub", sub=True, parent="id-away", node_id="1")
    )
    content = json.dumps([*json.loads(devices()), *lamp, *behind]).encode()
    words = upload(browser, "/add", content, command="upload", place="find").words
    assert "Barn <1>" in words
    assert "2 devices left out" in words
    assert "Lamp <i>: the list has no datapoints of it, and its category (dj) is none of m" in words
    assert "Behind: it is behind a gateway (parent) that is not in the list" in words
    only = upload(browser, "/add", json.dumps(lamp).encode(), command="upload", place="find")
    assert "None of these devices is known to be a meter" in only.words
    browser.post("/logout", {})


def test_what_one_browser_found_no_other_sees(house: House, barn: SimulatedMeter) -> None:
    one, other = house.browser(), house.browser()
    upload(one, "/add", devices(), command="upload", place="find")
    assert "id-barn" in one.get("/add").words
    assert "id-barn" not in other.get("/add").words
    stolen = other.post("/add", form(barn, "meter/try", local_key=""))
    assert stolen.status == 422
    assert "local_key is missing" in stolen.words
    one.post("/logout", {})


def test_only_addresses_of_the_own_network_are_asked(house: House, barn: SimulatedMeter) -> None:
    browser = house.browser()
    for address in ("8.8.8.8", "metadata.example.com", "169.254.169.254.example.com"):
        reply = browser.post("/add", form(barn, "meter/try", local_key=KEY, address=address))
        assert reply.status == 422
        assert "must be an address of your network" in reply.words


def test_devices_that_are_waited_for_hold_up_no_page(house: House) -> None:
    with FakeDevice(say_nothing) as silent, ThreadPoolExecutor(4) as pool:
        browsers = [house.browser() for _ in range(5)]
        fields = {"command": "meter/try", "place": "form", "address": "127.0.0.1"}
        fields |= {"local_key": KEY, "port": str(silent.port), "protocol": "3.4"}

        def ask(number: int) -> Reply:
            device = {"device_id": f"id-silent-{number}", "name": f"silent-{number}"}
            return browsers[number].post("/add", fields | device)

        running = [pool.submit(ask, number) for number in range(4)]
        eventually(lambda: silent.connections > 1, what="two of them wait")
        for path in ("/", "/meters/main", "/log", "/history"):
            assert browsers[4].get(path).status == 200
        assert not all(one.done() for one in running)
        assert {one.result(LIMIT_S).status for one in running} == {502}
