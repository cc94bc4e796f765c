"""Limits, names of hosts, texts and formats: without a service."""

import re
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from support.waiting import LIMIT_S
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError

from esquirell.daemon.visitors import ADDRESSES, WrongAttempts
from esquirell.domain.command import Answer
from esquirell.domain.cost import HourPrice
from esquirell.domain.meter import Meter
from esquirell.domain.quantity import QUANTITIES, total_of
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.services.command_table import commands_for
from esquirell.settings import WebSettings
from esquirell.web.formats import MINUS, NARROW_SPACE, NOTHING, Formats, currency_sign
from esquirell.web.gate import Gate, IngressGate
from esquirell.web.handler import breakable
from esquirell.web.live import Live
from esquirell.web.narrowed import Narrowed, areas_of
from esquirell.web.overview import House, MeterSnapshot, sparkline, state_of, zero_line
from esquirell.web.pictures import words_of
from esquirell.web.places import note_of, of_house, of_meter, shape_of
from esquirell.web.recent import KEEP_S, MOST, Recent
from esquirell.web.texts import DEFAULT, _flat, best_language, languages, texts_of
from esquirell.web.today import Base, Today

TEXTS = texts_of(DEFAULT)
FORMATS = Formats(TEXTS, "Europe/Warsaw")
WEB = Path(str(files("esquirell.web")))
# Keys that are put together: the beginning of each, and what may follow.
BUILT = re.compile(r"""\b(?:t|texts|_texts)(?:\.get|\.counted)?\(\s*f?["']([a-z_.]+)""")


class Arrived:
    """A request as a gate sees it."""

    def __init__(self, peer: str, headers: dict[str, str]) -> None:
        self.remote_ip = peer
        self.protocol = "http"
        self.headers = HTTPHeaders({key.replace("_", "-"): one for key, one in headers.items()})
        self.host = headers.get("Host", "")


def request(peer: str, **headers: str) -> HTTPServerRequest:
    return cast("HTTPServerRequest", Arrived(peer, headers))


def test_an_address_may_try_again_after_a_minute() -> None:
    now = 0.0
    wrong = WrongAttempts(lambda: now)
    for _ in range(5):
        assert wrong.wait_s("192.0.2.1") == 0
        wrong.note("192.0.2.1")
        now += 1
    assert wrong.wait_s("192.0.2.1") == 55
    assert wrong.wait_s("192.0.2.2") == 0
    now = 60.0
    assert wrong.wait_s("192.0.2.1") == 0


def test_addresses_of_one_ipv6_network_count_together_and_memory_is_bounded() -> None:
    wrong = WrongAttempts(lambda: 0.0)
    for number in range(5):
        wrong.note(f"2001:db8::{number}")
    assert wrong.wait_s("2001:db8::ffff") == 60
    for number in range(2 * ADDRESSES):
        wrong.note(f"10.0.{number // 250}.{number % 250}")
    assert len(wrong._wrong) == ADDRESSES


def test_ingress_is_for_the_supervisor_alone() -> None:
    gate = IngressGate()
    path = "/api/hassio_ingress/AbC-1_2"
    visit = gate.admit(request("172.30.32.2", X_Ingress_Path=path))
    assert (visit.base, visit.ingress) == (path, True)
    for peer in ("127.0.0.1", "172.30.32.1", "::ffff:172.30.32.3", ""):
        with pytest.raises(HTTPError) as refused:
            gate.admit(request(peer, X_Ingress_Path=path))
        assert refused.value.status_code == 403


@pytest.mark.parametrize(
    "path", ["//evil.example.com", '/a"><script>', "javascript:x", "/a b", "/../x"]
)
def test_ingress_takes_no_path_that_is_none(path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        IngressGate().admit(request("172.30.32.2", X_Ingress_Path=path))
    assert refused.value.status_code == 400


def test_the_ingress_path_of_anybody_else_counts_for_nothing() -> None:
    visit = Gate(WebSettings()).admit(request("127.0.0.1", Host="localhost", X_Ingress_Path="/x"))
    assert (visit.base, visit.ingress) == ("", False)


def test_more_names_can_be_configured() -> None:
    gate = Gate(WebSettings(hosts=("Energy.Example.org",), base_path="energy/"))
    assert gate.admit(request("127.0.0.1", Host="energy.example.org.:443")).base == "/energy"


def test_every_text_that_is_used_is_there() -> None:
    sources = [*WEB.rglob("*.py"), *WEB.rglob("*.html")]
    used = {key for file in sources for key in BUILT.findall(file.read_text())}
    assert used
    for key in used:
        whole = TEXTS.has(key)
        assert whole or any(known.startswith(key) for known in TEXTS._texts), key


def test_every_quantity_and_every_command_has_its_words() -> None:
    assert all(TEXTS.has(f"quantity.{key}") for key in QUANTITIES)
    changes = [name for name in commands_for("web") if name.startswith("schedule/")]
    assert all(TEXTS.has(f"done.{name}") for name in changes if name != "schedule/list")


def test_every_catalogue_has_the_texts_of_the_english_one_with_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return set(re.findall(r"{\w+}", text))

    english = catalogue(DEFAULT)
    assert set(languages()) == {"de", "en"}
    for language in languages():
        own = catalogue(language)
        assert own.keys() == english.keys()
        differing = [key for key, text in own.items() if places(text) != places(english[key])]
        assert differing == []
        assert all(text.strip() == text != "" for text in own.values())


def catalogue(language: str) -> dict[str, str]:
    """Return what a file holds, without what English adds to it."""
    return dict(_flat(tomllib.loads((WEB / "messages" / f"{language}.toml").read_text())))


def test_german_is_written_as_germans_do() -> None:
    german = Formats(texts_of("de"), "Europe/Berlin")
    assert german.energy(1234.5) == f"1.234,50{NARROW_SPACE}kWh"
    assert german.date(datetime(2026, 11, 28, 23, 30, tzinfo=UTC)) == "So 29. Nov. 2026"
    assert german.every(300) == "alle 5 Minuten"
    assert german.label("active_power_a_mean") == "Leistung, Phase A, Mittel"
    local = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert words_of(texts_of("de")).period(local, "hour") == "So 1. März 2026, 12:00"


def test_the_language_is_the_best_one_that_there_is() -> None:
    assert best_language("xx, en-GB;q=0.8") == "en"
    assert best_language("") == "en"
    assert best_language("de-AT,de;q=0.9,en;q=0.8") == "de"
    assert best_language("en;q=0.5, de;q=0") == "en"
    assert best_language("tlh;q=oops,*;q=0.1") == "en"


def test_numbers_are_written_for_people() -> None:
    assert FORMATS.power(1234.4) == f"1,234{NARROW_SPACE}W"
    assert FORMATS.power(-12345) == f"{MINUS}12.35{NARROW_SPACE}kW"
    assert FORMATS.power(-0.2) == f"0{NARROW_SPACE}W"
    assert FORMATS.power(None) == NOTHING
    assert FORMATS.money(1.5, "EUR") == f"1.50{NARROW_SPACE}€"
    assert FORMATS.label("active_power_mean") == "Power, mean"
    assert FORMATS.label("voltage_a") == "Voltage, phase A"
    assert FORMATS.label("energy_import") == "Energy imported"
    assert FORMATS.every(5400) == "every 90 minutes"
    assert FORMATS.every(1) == "every second"
    assert FORMATS.date(datetime(2026, 11, 28, 23, 30, tzinfo=UTC)) == "Sun 29 Nov 2026"


def test_a_curve_bridges_a_slow_schedule_and_leaves_an_outage_open() -> None:
    slow = [100.0, None, None, None, None, 200.0]
    assert sparkline(slow).count("M") == 1
    assert sparkline([1.0, *[None] * 30, 2.0, 3.0]).count("M") == 2
    assert sparkline([None, None]) == ""


def test_the_line_at_zero_lies_below_what_is_imported_and_above_what_is_exported() -> None:
    assert zero_line([100.0, 300.0]) == zero_line([]) == "M0 46.0H240"
    assert zero_line([-100.0, -300.0]) == "M0 2.0H240"
    assert zero_line([-100.0, None, 100.0]) == "M0 24.0H240"
    assert sparkline([-100.0, 0.0, 100.0]) == "M0.0 46.0L120.0 24.0L240.0 2.0"


def test_a_curve_of_the_first_minutes_fills_its_box() -> None:
    assert sparkline([*[None] * 58, 1.0, 2.0]) == "M0.0 24.0L240.0 2.0"
    # One point is a dot, as the ends of the line are round.
    assert sparkline([None, 1.0, None]) == "M0.0 2.0h0"


def test_the_newest_reading_wins_and_makes_the_curve() -> None:
    live, now = Live(), datetime.now(UTC)
    live.take(Reading("main", now, {"active_power_a": 1.0, "active_power_b": 2.0}))
    live.take(Reading("main", now.replace(year=2020), {"active_power": 9.0}))
    assert total_of(live.readings()["main"].values, "active_power") == 3.0
    assert [one for one in live.curve("main") if one is not None] == [3.0]
    assert live.curve("nobody") == []
    assert Answer("ok").payload()["status"] == "ok"


def test_a_reading_of_a_clock_that_was_ahead_gives_way_to_those_of_the_right_one() -> None:
    live, now = Live(), datetime.now(UTC)
    live.take(Reading("main", now + timedelta(days=1), {"active_power": 1.0}))
    for second in range(2):
        live.take(Reading("main", now + timedelta(seconds=second), {"active_power": 2.0 + second}))
    assert live.readings()["main"].values == {"active_power": 3.0}


PRICE = HourPrice(Decimal("0.90"), Decimal("0.30"), Decimal(0), Decimal(0))
MORNING = Base(
    Today(2.0, 1.0, None, 5.0, "PLN"), {"energy_import": 100.0, "energy_export": 40.0}, PRICE
)


def read(**values: float) -> Reading:
    return Reading("main", datetime.now(UTC), values)


def test_the_day_follows_the_counters() -> None:
    assert MORNING.at(None) == MORNING.today
    now = MORNING.at(read(energy_import=100.5, energy_export=40.1))
    assert now.imported == pytest.approx(2.5)
    assert now.exported == pytest.approx(1.1)
    assert now.cost == pytest.approx(5.0 + 0.5 * 0.9 - 0.1 * 0.3)
    assert (now.generated, now.currency) == (None, "PLN")


def test_the_day_of_a_meter_of_phases_is_that_of_all() -> None:
    base = Base(Today(1.0), {"energy_import": 30.0})
    now = base.at(read(energy_import_a=10.25, energy_import_b=10.25, energy_import_c=10.0))
    assert now == Today(1.5)


def test_a_counter_that_is_unknown_or_began_anew_adds_nothing_to_the_day() -> None:
    assert MORNING.at(read(active_power=1.0)) == MORNING.today
    assert MORNING.at(read(energy_import=3.0, energy_export=0.0)) == MORNING.today


def test_a_day_without_a_price_has_no_cost() -> None:
    assert Base(Today(1.0), {"energy_import": 1.0}).at(read(energy_import=2.0)) == Today(2.0)


def house_of(*snapshots: MeterSnapshot) -> House:
    return House(snapshots)


def snapshot(name: str, today: Today, **fields: Any) -> MeterSnapshot:  # noqa: ANN401 - of a meter
    meter = Meter(name=name, device_id=name, local_key="0" * 16, **fields)
    return MeterSnapshot(
        meter, MeterStatus(), "online", Reading(name, datetime.now(UTC), POWER), today
    )


POWER = {"active_power": 100.0}


def test_the_page_says_how_many_meters_the_sum_has() -> None:
    two = house_of(snapshot("main", Today(1.0)), snapshot("barn", Today(1.0)))
    assert note_of(two, TEXTS) == "importing from the grid · sum of 2 meters"
    below = house_of(snapshot("main", Today(1.0)), snapshot("barn", Today(1.0), upstream="main"))
    assert note_of(below, TEXTS) == "importing from the grid"
    gone = house_of(replace(two.meters[0], state="offline"), two.meters[1])
    assert note_of(gone, TEXTS).endswith("sum of 2 meters · without 1 meter that is offline")
    off = snapshot("off", Today(), enabled=False)
    assert house_of(replace(off, state="offline"), two.meters[1]).missing == 0


def test_now_is_loaded_again_when_other_figures_make_it_up() -> None:
    cold = house_of(snapshot("main", Today()))
    known = house_of(snapshot("main", Today(1.0, 2.0, None, 3.0, "EUR")))
    used = house_of(snapshot("main", Today(1.5, 2.5, None, 3.5, "EUR")))
    two = house_of(*known.meters, snapshot("barn", Today()))
    assert shape_of(known) == shape_of(used)
    assert len({shape_of(cold), shape_of(known), shape_of(two)}) == 3


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("voltage_b is not between 80 and 300", "Voltage (phase B) is not between 80 and 300"),
        ("energy_import fell: it is held back", "Energy imported fell: it is held back"),
        ("active_power_c: 176 W is too much", "Power (phase C): 176 W is too much"),
        ("set store_every or cur_power_x to 1", "set store_every or cur_power_x to 1"),
        ("<b>voltage_a</b>", "<b>Voltage (phase A)</b>"),
    ],
)
def test_a_warning_names_quantities_as_the_page_does(said: str, shown: str) -> None:
    assert FORMATS.sentence(said) == shown


def test_a_currency_has_one_sign_everywhere() -> None:
    assert FORMATS.money(1, "PLN") == f"1.00{NARROW_SPACE}zł"
    assert [currency_sign(code) for code in ("PLN", "EUR", "CHF")] == ["zł", "€", "CHF"]


def test_a_path_is_broken_after_a_slash_only() -> None:
    assert breakable("/var/<lib>") == "/<wbr>var/<wbr>&lt;lib&gt;"


def test_a_list_of_meters_is_narrowed_and_sorted() -> None:
    flats = [
        snapshot("flat-1", Today(1.0), label="Kowalski", area="House A"),
        replace(snapshot("flat-2", Today(3.0), label="Nowak", area="House B"), state="offline"),
        snapshot("flat-3", Today(2.0), label="Zieliński", area="House B"),
    ]

    def names(**query: str) -> list[str]:
        narrowed = Narrowed.by(query.get)
        return [one.meter.name for one in narrowed.of(flats)]

    assert names() == ["flat-1", "flat-2", "flat-3"]
    assert names(area="House B") == ["flat-2", "flat-3"]
    assert names(q="ZIELIŃ") == names(q=" flat-3 ") == ["flat-3"]
    assert names(q="house a", area="House B") == []
    # A device's id is what a label on it says.
    assert names(q="FLAT-2") == ["flat-2"]
    assert names(sort="today") == ["flat-2", "flat-3", "flat-1"]
    assert names(sort="state")[0] == "flat-2"
    # Without a power that is true it is the last one.
    assert names(sort="power")[-1] == "flat-2"
    assert names(sort="nonsense") == names()
    assert areas_of(flats) == ["House A", "House B"]


def test_the_sum_of_an_area_counts_what_lies_behind_a_meter_of_another_one() -> None:
    main = snapshot("main", Today(9.0), area="Cellar")
    flats = [snapshot(f"flat-{n}", Today(float(n)), upstream="main", area="House") for n in (1, 2)]
    plug = snapshot("plug", Today(0.5), upstream="flat-1", area="House")
    house = house_of(main, *flats, plug)
    shown = of_house(house, TEXTS, FORMATS)
    assert shown["area:House"] == f"200{NARROW_SPACE}W · 3.00{NARROW_SPACE}kWh today"
    assert house.today.imported == 9.0


def test_a_meter_that_is_switched_off_is_neither_offline_nor_waiting() -> None:
    off = Meter(name="off", device_id="off", local_key="0" * 16, enabled=False)
    assert state_of(off, MeterStatus(), None, 60) == "off"
    assert state_of(off, MeterStatus(failures=3, reason="unreachable"), None, 60) == "off"
    on = off.model_copy(update={"enabled": True})
    assert state_of(on, MeterStatus(), None, 60) == "waiting"


def test_the_page_of_a_meter_is_loaded_again_when_it_says_something_else() -> None:
    one = snapshot("main", Today(1.0))
    more = replace(one, today=Today(2.0), reading=read(active_power=5.0))
    keys = ["active_power"]
    first, second = (of_meter(each, keys, FORMATS) for each in (one, more))
    assert first["main:active_power"] == "100"
    assert second["main:active_power"] == "5"
    assert first["page:shape"] == second["page:shape"]
    doubted = of_meter(replace(one, warnings=("a doubt",)), keys, FORMATS)
    assert doubted["page:shape"] != first["page:shape"]


def test_what_was_drawn_a_moment_ago_is_not_drawn_again() -> None:
    now, drawn = 0.0, []

    def look(key: str) -> int:
        def make() -> int:
            drawn.append(key)
            return len(drawn)

        return recent.get(key, make)

    recent: Recent[int] = Recent(lambda: now)
    assert [look("year"), look("year"), look("day"), look("year")] == [1, 1, 2, 1]
    now = KEEP_S
    assert look("year") == 3
    for number in range(MOST):
        look(f"{number}")
    # Of more than these the oldest is forgotten.
    assert look("year") == len(drawn) == 3 + MOST + 1


def test_of_those_who_ask_for_the_same_at_once_one_does_the_work() -> None:
    recent: Recent[str] = Recent()
    made, asked, go = list[int](), threading.Semaphore(0), threading.Event()

    def make() -> str:
        made.append(1)
        asked.release()
        assert go.wait(LIMIT_S)
        if len(made) == 1:
            raise ValueError("the first one fails")
        return "drawn"

    def ask() -> str:
        return recent.get("year", make)

    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(ask) for _ in range(4)]
        asked.acquire()
        go.set()
        # A request that came while it was made has its error, a later one another try.
        failed = [one.exception(LIMIT_S) is not None for one in first]
        again = [pool.submit(ask) for _ in range(4)]
        assert {one.result(LIMIT_S) for one in again} == {"drawn"}
    assert any(failed)
    assert len(made) == 2
