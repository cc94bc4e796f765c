"""The History page of a running service."""

import csv
import io
import re
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from support.cli import esquirell_process
from support.page import Browser
from support.page_house import LABEL, House
from support.waiting import eventually

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings


@pytest.fixture
def browser(house: House) -> Browser:
    return house.browser()


def test_it_shows_todays_energy_with_a_picture_and_a_table(browser: Browser) -> None:
    def shown() -> str:
        text = browser.get("/history").text
        return text if "<summary>Table<" in text else ""

    text = eventually(shown, what="the hour has energy")
    assert text.count('<svg class="plot"') >= 2
    assert "Energy per hour" in text
    assert "pictures.css?v=" in text
    assert "plot.js" in text


@pytest.mark.parametrize("show", ["energy", "power", "cost", "voltage", "nonsense"])
@pytest.mark.parametrize("span", ["day", "week", "month", "year", "all"])
def test_every_view_can_be_opened(browser: Browser, show: str, span: str) -> None:
    reply = browser.get(f"/history?show={show}&span={span}&compare=1&meter=main&meter=hung")
    assert reply.status == 200
    assert "<h1>History</h1>" in reply.text


def test_labels_are_escaped_everywhere(browser: Browser) -> None:
    text = browser.get("/history?show=power&meter=main&meter=hung").text
    assert LABEL not in text
    assert "<b>Main" not in text
    assert "&lt;b&gt;Main" in text


def test_without_a_script_there_are_links_to_earlier_and_later(browser: Browser) -> None:
    text = browser.get("/history?span=day&at=2026-11-01").text
    addresses = re.findall(r'rel="(?:prev|next)" href="\?([^"]+)"', text)
    assert len(addresses) == 2
    assert "at=2026-10-31" in addresses[0]
    assert "at=2026-11-02" in addresses[1]


def test_csv_has_the_rows_of_what_is_shown(browser: Browser) -> None:
    reply = browser.get("/history.csv?show=power&span=day&by=raw&meter=main")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="esquirell-power-' in reply.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert rows
    assert {row["active_power"] for row in rows} == {"-484.0"}
    days = browser.get("/history.csv?span=month&meter=main").text
    (day,) = csv.DictReader(io.StringIO(days))
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", day["start"])


def test_statistics_that_take_long_are_not_waited_for(house: House, browser: Browser) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    database = Database(f"sqlite:///{house.service.database}")
    values = [{"energy_import": float(number)} for number in range(4 * 24)]
    hours = [
        Reading("old", midnight + timedelta(hours=number), value)
        for number, value in enumerate(values)
    ]
    Readings(database).add(hours, {"old": MeterStatus(keys=("energy_import",))})
    database.close()
    address = "/history?meter=old&span=month&at=2026-03-01"
    with closing(sqlite3.connect(house.service.database)) as other:
        # Nothing can be worked up while somebody else writes.
        other.execute("BEGIN IMMEDIATE")
        text = browser.get(address).text
        other.rollback()
    assert "Statistics are being calculated" in text
    assert "0 of 4 days done." in text
    assert "data-await" in text
    assert 'class="plot"' not in text
    eventually(lambda: '<svg class="plot"' in browser.get(address).text, what="the picture")


def test_a_correction_and_a_tariff_show_at_once(house: House, browser: Browser) -> None:
    ago = datetime.now(UTC) - timedelta(hours=2)
    database = Database(f"sqlite:///{house.service.database}")
    values = {"active_power": 7777.0, "active_power_a": 7777.0}
    Readings(database).add([Reading("main", ago, values)], {})
    database.close()
    power = f"/history?show=power&by=hour&meter=main&at={ago.date()}"

    def change(*words: str) -> None:
        assert esquirell_process("--config", str(house.service.config), *words).code == 0

    def reloaded(times: int) -> bool:
        return house.service.log.count("reloaded") == times

    browser.get(power)
    change("db", "rollup", "--since", "3h")
    assert "7,777" in browser.get(power).words
    change("db", "readings", "remove", "--meter", "main", "--until", "1h")
    assert "7,777" not in browser.get(power).words
    cost = "/history?show=cost&meter=main"
    assert "No tariff" in browser.get(cost).words
    config = house.service.config.read_text()
    tariff = '[[tariffs]]\nname = "home"\ncurrency = "PLN"\nimport_price = 1\n'
    shown = set()
    for count, fee in enumerate(("24", "48"), house.service.log.count("reloaded") + 1):
        house.service.config.write_text(f"{config}\n{tariff}fee_per_day = {fee}\n")
        house.service.signal(signal.SIGHUP)
        eventually(partial(reloaded, count), what="the new settings")
        shown.add(browser.get(cost).words)
    assert len(shown) == 2
    house.service.config.write_text(config)
    house.service.signal(signal.SIGHUP)


def test_a_stranger_sees_nothing_of_it(house: House) -> None:
    stranger = house.stranger()
    assert stranger.get("/history").status == 302
    assert stranger.get("/history.csv").status == 302


def test_pictures_need_no_inline_style_and_no_inline_script(browser: Browser) -> None:
    text = browser.get("/history?show=power").text
    assert "<style" not in text
    assert " style=" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    sheet = re.search(r'href="(/pictures\.css\?v=[0-9a-f]+)"', text)
    assert sheet
    reply = browser.get(sheet[1])
    assert reply.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in reply.headers["Cache-Control"]
