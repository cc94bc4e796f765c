"""The words of the page, and how numbers, moments and currencies are written."""

import re
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from esquirell.domain.quantity import QUANTITIES
from esquirell.services.command_table import commands_for
from esquirell.web.formats import MINUS, NARROW_SPACE, NOTHING, Formats, currency_sign
from esquirell.web.handler import breakable
from esquirell.web.pictures import words_of
from esquirell.web.texts import DEFAULT, best_language, flat, languages, texts_of

TEXTS = texts_of(DEFAULT)
FORMATS = Formats(TEXTS, "Europe/Warsaw")
WEB = Path(str(files("esquirell.web")))
# Keys that are put together: the beginning of each, and what may follow.
BUILT = re.compile(r"""\b(?:t|texts|_texts)(?:\.get|\.counted)?\(\s*f?["']([a-z_.]+)""")


def test_every_used_text_exists() -> None:
    sources = [*WEB.rglob("*.py"), *WEB.rglob("*.html")]
    used = {key for file in sources for key in BUILT.findall(file.read_text())}
    assert used
    for key in used:
        whole = TEXTS.has(key)
        assert whole or any(known.startswith(key) for known in TEXTS.with_own({})), key


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
    return dict(flat(tomllib.loads((WEB / "messages" / f"{language}.toml").read_text())))


def test_german_is_written_as_germans_do() -> None:
    german = Formats(texts_of("de"), "Europe/Berlin")
    assert german.energy(1234.5) == f"1.234,50{NARROW_SPACE}kWh"
    assert german.date(datetime(2026, 11, 28, 23, 30, tzinfo=UTC)) == "So 29. Nov. 2026"
    assert german.every(300) == "alle 5 Minuten"
    assert german.label("active_power_a_mean") == "Leistung, Phase A, Mittel"
    local = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert words_of(texts_of("de")).period(local, "hour") == "So 1. März 2026, 12:00"


def test_the_best_available_language_is_chosen() -> None:
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
    # Sentences of the program are English: none is half German.
    assert Formats(texts_of("de"), "Europe/Berlin").sentence(said) == shown


def test_a_currency_has_one_sign_everywhere() -> None:
    assert FORMATS.money(1, "PLN") == f"1.00{NARROW_SPACE}zł"
    assert [currency_sign(code) for code in ("PLN", "EUR", "CHF")] == ["zł", "€", "CHF"]


def test_a_path_is_broken_after_a_slash_only() -> None:
    assert breakable("/var/<lib>") == "/<wbr>var/<wbr>&lt;lib&gt;"
