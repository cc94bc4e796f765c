"""A house of sixty meters, as its landlord looks at it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from support.page import PASSWORD, await_page
from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import eventually

if TYPE_CHECKING:
    from support.browser import Window

FLATS = 60
# The others are switched off: they are there to be looked at.
READ = 3


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Window]":
    from support.browser import chromium  # noqa: PLC0415 - only `make browser` installs selenium

    folder, port = tmp_path_factory.mktemp("house"), free_port()
    with ExitStack() as stack:
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        config = configuration(list(_flats(stack)), mqtt_port=1, redis_url=redis.url)
        web = f'web.port = {port}\nweb.password = "{PASSWORD}"'
        service = Service(folder, config.replace("web.port = 0", web))
        service.start()
        stack.callback(service.kill)
        await_page(port)
        eventually(lambda: service.readings("flat-01") > 0, what=lambda: service.log)
        window = stack.enter_context(chromium(f"http://127.0.0.1:{port}/"))
        window.log_in(PASSWORD)
        yield window


def _flats(stack: ExitStack) -> Iterator[str]:
    for number in range(1, FLATS + 1):
        name, port = f"flat-{number:02}", 1000 + number
        if number <= READ:
            device = simulated(name)
            stack.callback(device.stop)
            port = device.port
        named = f'label = "Flat {number:02}"\narea = "House {"ABC"[number % 3]}"'
        enabled = "" if number <= READ else "\nenabled = false"
        yield f"{meter_table(name, port)}\n{named}{enabled}"


def shown(window: "Window", selector: str) -> list[str]:
    """Return what elements say, at one moment: the script puts others in their place."""
    texts = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return list(window.script(texts, selector))


@pytest.mark.parametrize("page", ["", "meters", "history", "schedules"])
@pytest.mark.parametrize("width", [390, 1280])
def test_sixty_meters_fit(window: "Window", page: str, width: int) -> None:
    window.size(width, 900, phone=width < 400)
    window.open(page)
    window.script("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    window.says("Flat 60")
    assert window.overflow <= 0
    window.as_before()


def test_a_flat_is_found_while_it_is_typed(window: "Window") -> None:
    window.open()
    assert len(shown(window, "li.meter h3")) == FLATS
    window.type("[name=q]", "flat 17")
    eventually(lambda: shown(window, "li.meter h3") == ["Flat 17"], what="one flat")
    assert window.script("return document.activeElement.name") == "q"
    assert "q=flat+17" in window.driver.current_url
    # A bookmark keeps it.
    window.open(window.driver.current_url.removeprefix(window.base))
    assert shown(window, "li.meter h3") == ["Flat 17"]
    window.type("[name=q]", "nobody")
    window.says("No meter matches.")


def test_a_house_is_chosen_sorted_and_summed(window: "Window") -> None:
    window.open("meters")
    window.script(
        "const area = document.querySelector('[name=area]'); area.value = 'House B';"
        "area.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    eventually(lambda: len(shown(window, "tbody th a")) == FLATS / 3, what="the flats of a house")
    assert "Sum" in shown(window, "tfoot th")
    window.open("meters?sort=state&area=House+B")
    assert shown(window, "tbody th a")[0] == "Flat 01"
    assert window.complaints == []


def test_the_sum_of_a_house_is_live(window: "Window") -> None:
    window.open()
    eventually(
        lambda: "W" in window.find("[data-place='area:House B']").text, what="the sum of a house"
    )
