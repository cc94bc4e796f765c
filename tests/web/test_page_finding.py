"""Where a device and its key come from: the network, the cloud, a list, the keyboard."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.page import Browser, Reply
from support.page_house import House, running_house
from support.ports import tuyas_own_ports
from support.service import KEY, simulated
from support.tuya_broadcasts import Broadcaster
from support.tuya_cloud import API_KEY, API_SECRET, TuyaCloud, device
from support.waiting import eventually

from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.simulator import SimulatedMeter

WRONG_KEY = "fedcba9876543210"
PRODUCT = "gqmmtjclqb7reg5p"
NAMES = ("barn", "second", "third")


@pytest.fixture(scope="module")
def meters() -> Iterator[dict[str, SimulatedMeter]]:
    with ExitStack() as stack:
        found = {name: simulated(name) for name in NAMES}
        for meter in found.values():
            stack.callback(meter.stop)
        yield found


@pytest.fixture(scope="module")
def cloud() -> Iterator[TuyaCloud]:
    listed = [
        device(f"id-{name}", name=f"{name} <b>", local_key=KEY, product_id=PRODUCT, category="zndb")
        for name in ("barn", "second")
    ]
    with TuyaCloud(*listed) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, cloud: TuyaCloud) -> Iterator[House]:
    said = {"api_key": API_KEY, "api_secret": API_SECRET, "url": cloud.url}
    account = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    folder = tmp_path_factory.mktemp("house")
    with running_house(folder, "\n".join(["[cloud]", *account])) as house:
        yield house


@pytest.fixture
def browser(house: House) -> Browser:
    return house.browser()


def form(meter: SimulatedMeter, command: str, **fields: str) -> dict[str, str]:
    known = {"address": "127.0.0.1", "port": str(meter.port), "protocol": "3.4"}
    return {"command": command, "place": "form", "profile": "owon_pc321"} | known | fields


def links(reply: Reply) -> list[str]:
    """Return the devices that may be chosen, as links."""
    return re.findall(r'href="(/add\?device=[^"]+)"', reply.text)


@pytest.fixture
def keyed(house: House, browser: Browser, meters: dict[str, SimulatedMeter]) -> Iterator[str]:
    """The page of a meter that was added with a wrong key."""
    known = {"name": "barn", "device_id": "id-barn", "local_key": WRONG_KEY, "untested": "1"}
    added = browser.post("/add", form(meters["barn"], "meter/add", **known))
    assert added.status == 303, added.words
    yield "/meters/barn"
    remove = {"command": "meter/remove", "place": "change", "forget": "1"}
    assert browser.post("/meters/barn", remove).status == 303
    eventually(lambda: house.service.readings("barn") == 0, what="it is forgotten")


def await_readings(house: House, meter: SimulatedMeter) -> None:
    before, read = meter.answers, house.service.readings("barn")
    eventually(lambda: meter.answers > before + 1, what="the device is asked")
    eventually(lambda: house.service.readings("barn") > read, what="it is stored")


def test_a_wrong_key_is_taken_from_the_cloud(
    house: House, browser: Browser, keyed: str, meters: dict[str, SimulatedMeter], cloud: TuyaCloud
) -> None:
    eventually(lambda: "wrong local key" in browser.get(keyed).words)
    page = browser.get(keyed)
    assert "key/cloud" in page.text
    asked = "/v1.0/devices/id-barn"
    cloud.failures[asked] = {"success": False, "code": 28841107, "msg": "No permission"}
    refused = browser.post(keyed, {"command": "key/cloud", "place": "meter"})
    assert refused.status == 502, refused.words
    assert "28841107" in refused.words
    del cloud.failures[asked]
    taken = browser.post(keyed, {"command": "key/cloud", "place": "meter"})
    assert taken.status == 200, taken.words
    await_readings(house, meters["barn"])
    for reply in (page, taken, browser.get("/log"), browser.get("/add")):
        assert KEY not in reply.text
        assert API_SECRET not in reply.text


def test_a_device_is_exchanged_for_one_of_the_cloud(
    house: House, browser: Browser, keyed: str, meters: dict[str, SimulatedMeter]
) -> None:
    listed = browser.post("/add", {"command": "cloud", "place": "find", "exchange": "barn"})
    assert listed.status == 200, listed.words
    # The meter's own device may be chosen as well: it may have been paired anew.
    assert links(listed) == [
        "/add?device=id-barn&amp;exchange=barn",
        "/add?device=id-second&amp;exchange=barn",
    ]
    chosen = browser.get("/add?device=id-second&exchange=barn")
    assert "Does the counter start over?" in chosen.words
    known = {"device": "id-second", "device_id": "id-second", "exchange": "barn"}
    tried = browser.post("/add", form(meters["second"], "meter/try", **known))
    assert "The device answers" in tried.words
    done = browser.post("/add", form(meters["second"], "meter/exchange", **known, counter="anew"))
    assert done.status == 303, done.words
    await_readings(house, meters["second"])
    page = browser.get(keyed)
    assert "id-second" in page.words
    for reply in (listed, chosen, tried, page):
        assert KEY not in reply.text


def test_a_device_is_exchanged_for_one_that_the_network_has(
    house: House, browser: Browser, keyed: str, meters: dict[str, SimulatedMeter]
) -> None:
    with tuyas_own_ports(), Broadcaster(Ports(), "id-third", "3.4", product=PRODUCT):
        found = browser.post("/add", {"command": "scan", "place": "find", "exchange": "barn"})
    assert found.status == 200, found.words
    assert "/add?device=id-third&amp;exchange=barn" in links(found)
    assert "OWON PC321-W-TY" in found.words
    chosen = browser.get("/add?device=id-third&exchange=barn")
    assert 'value="127.0.0.1"' in chosen.text
    known = {"device": "id-third", "device_id": "id-third", "exchange": "barn"}
    without = browser.post("/add", form(meters["third"], "meter/try", **known))
    assert without.status == 422, without.words
    assert "local_key" in without.words
    typed = known | {"local_key": KEY}
    done = browser.post("/add", form(meters["third"], "meter/exchange", **typed, counter="anew"))
    assert done.status == 303, done.words
    await_readings(house, meters["third"])
    assert "id-third" in browser.get(keyed).words
