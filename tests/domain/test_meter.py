"""A meter as the configuration describes it."""

import pytest
from support.fakes import meter


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  Flat 3\n2nd  floor ", "Flat 3 2nd floor"),
        ("\u202egnihtemos", "gnihtemos"),
        ("a\x07b\u2028c", "a b c"),
        ("\u200b", "main"),
        ("עדשה\u200f (2) 👨\u200d👩", "עדשה\u200f (2) 👨\u200d👩"),
    ],
)
def test_a_label_is_one_line_of_what_people_can_see(typed: str, shown: str) -> None:
    assert meter(label=typed).title == shown
    assert meter(area=typed).area == ("" if typed == "\u200b" else shown)
