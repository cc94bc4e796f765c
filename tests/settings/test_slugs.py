import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.settings.slugs import LONGEST, slug, unique_slug


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Küche Steckdose", "kueche-steckdose"),
        ("Ku\u0308che", "kueche"),
        ("GARAGE (left)", "garage-left"),
        ("Łazienka Północ", "lazienka-polnoc"),
        ("Straße  Nr. 5", "strasse-nr-5"),
        ("Crème brûlée", "creme-brulee"),
        ("main_meter-1", "main_meter-1"),
        ("WIFI 插座", "wifi"),
        ("插座", ""),
        ("", ""),
        ("ﬁ ①", "fi-1"),
        ("a" * 80, "a" * 64),
    ],
)
def test_names_of_people_become_slugs(text: str, name: str) -> None:
    assert slug(text) == name


def test_slugs_are_unique() -> None:
    assert unique_slug("Plug", ()) == "plug"
    assert unique_slug("Plug", {"plug"}) == "plug-2"
    assert unique_slug("Plug", {"plug", "plug-2"}) == "plug-3"
    assert unique_slug("插座", ()) == "meter-1"
    assert unique_slug("插座", {"meter-1"}) == "meter-2"
    assert unique_slug("a" * 64, {"a" * 64}) == "a" * 62 + "-2"


@given(st.text(), st.sets(st.text(max_size=3)))
def test_whatever_a_device_is_called_its_name_is_valid(text: str, others: set[str]) -> None:
    taken = {slug(text), "meter-1", *others}
    name = unique_slug(text, taken)
    assert re.fullmatch(r"[a-z0-9_-]+", name)
    assert len(name) <= LONGEST
    assert name not in taken
