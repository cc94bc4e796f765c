"""Adding, changing, exchanging and removing a meter on the page; log and system."""

import http.client
import io
import itertools
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from support.page import Browser, Reply
from support.page_house import House
from support.service import DPS, KEY, simulated
from support.tuya_devices import FakeDevice, say_nothing
from support.waiting import LIMIT_S, eventually

from esquirell.broker.presence import NAMED_S, PROCESSES, Presence
from esquirell.domain.process import Process
from esquirell.domain.reading import iso
from esquirell.tuya.simulator import SimulatedMeter

OTHER_KEY = "fedcba9876543210"
NEW = {"device_id": "id-often", "local_key": KEY}


@pytest.fixture
def barn() -> Iterator[SimulatedMeter]:
    meter = simulated("barn")
    yield meter
    meter.stop()


def upload(browser: Browser, path: str, content: bytes, **fields: str) -> Reply:
    """Send a file as a browser does (RFC 7578)."""
    boundary = "----esquirell"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in ({"_xsrf": browser.token} | fields).items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="devices"; filename="devices.json"'
        "\r\nContent-Type: application/json\r\n\r\n"
    )
    body = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
    return browser.ask(
        "POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )


def devices(**fields: Any) -> bytes:  # noqa: ANN401 - JSON is anything
    entry = {
        "name": "Barn <1>",
        "id": "id-barn",
        "key": KEY,
        "product_id": "gqmmtjclqb7reg5p",
        "category": "zndb",
        "version": "3.4",
        "mapping": {"101": {"code": "voltage_a", "type": "Integer"}},
    }
    return json.dumps([entry | fields]).encode()


def form(barn: SimulatedMeter, command: str, **fields: str) -> dict[str, str]:
    return {
        "command": command,
        "place": "form",
        "device": "id-barn",
        "device_id": "id-barn",
        "name": "barn",
        "label": "Barn",
        "area": "Yard",
        "address": "127.0.0.1",
        "port": str(barn.port),
        "protocol": "3.4",
        "profile": "owon_pc321",
    } | fields


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
    assert "The meter answers" in tried.words
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


def test_what_was_typed_for_a_new_meter_stays_when_a_number_is_none(house: House) -> None:
    browser = house.browser()
    fields = {"command": "meter/try", "by_hand": "1", "device_id": "id-new", "local_key": KEY}
    refused = browser.post("/add", fields | {"label": "Shed", "port": "many"})
    assert refused.status == 422
    assert "port: must be a whole number" in refused.words
    assert 'value="id-new"' in refused.text
    assert 'name="label" value="Shed"' in refused.text
    # The key is kept as well, but not shown.
    assert KEY not in refused.text
    assert "Known. Enter another one only to change it." in refused.words


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
        assert "The meter answers" in browser.post("/add", fields).words
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
    assert "the file does not hold this device" in refused.words
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
        (b"[]", 422, "the list holds no device"),
        (b"[" * 100_000, 422, "is not JSON"),
        (b"x" * (1024 * 1024 + 1), 413, "over 1 MiB"),
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
    assert "Lamp <i>: none of its datapoints measures electricity" in words
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


def test_the_log_shows_who_wanted_what(house: House) -> None:
    browser = house.browser()
    browser.post("/schedules", {"command": "schedule/run", "place": "fetch", "name": "nobody"})
    words = browser.get("/log").words
    assert "Run a schedule nobody web page failed" in words
    link = browser.get("/log").text.partition('href="/log/')[2].partition('"')[0]
    entry = browser.get(f"/log/{link}")
    assert "unknown_schedule" in entry.words
    assert browser.get("/log?last=1").status == 200
    assert browser.get("/log?last=x").status == 200
    assert browser.get("/log/00000000-0000-0000-0000-000000000000").status == 404


def test_system_shows_the_parts_and_gives_a_backup(house: House) -> None:
    browser = house.browser()
    words = browser.get("/system").words
    for said in ("Worker", "Scheduler", "MQTT bridge", "Database", "esquirell", "Python"):
        assert said in words
    assert "MQTT broker" in words
    assert "Processes" not in words, "there is one"
    vanished = Process("garage", ("worker",), iso(datetime.now(UTC)), problems=("it is too dark",))
    presence = Presence(house.redis.client, "garage-1")
    presence.announce(vanished, vanished.roles)
    words = browser.get("/system").words
    assert "it is too dark" in words
    assert "garage" in words
    house.redis.client.expire(f"{PROCESSES}garage-1", NAMED_S - 3600)
    assert "last seen 1 h ago, did not sign off" in browser.get("/system").words
    presence.withdraw(*vanished.roles)
    assert browser.get("/system/backup").status == 405
    stranger = house.stranger()
    assert stranger.post("/system/backup", {}).status == 401
    jar = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    body = urlencode({"_xsrf": browser.token}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
    headers = {"Cookie": jar, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/system/backup", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "database.db" in archive.getnames()
    state = house.service.folder / "data"
    eventually(lambda: not list(state.glob(".download-*")), what="nothing of it is left")


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
