"""Every warning that a reading can come with, as a stranger reads it.

A sentence says of which datapoint or quantity it speaks, what is odd, and what became of the value.
One that is missing here is new: read it as a person who knows the meter, not this program.
"""

import re
from collections.abc import Iterator

from support.captures import captures
from support.judge import INPUTS

from esquirell.profiles.capture import try_capture

POINT = r"(DP \d+ \(\w+\)|\w+): "
NUMBER = r"-?\d+(\.\d+)?"
SENTENCES = (
    (
        r"the product is unknown; it is recognised by its datapoints alone"
        r"( as \w+ \(.+\))?: set product_id, mapping_file or profile to be sure"
    ),
    r"the product is unknown; it sent .+: set product_id, mapping_file or profile",
    r"its maker describes no electrical datapoint: this is not a meter, nothing is published",
    r"left out until an answer shows their meaning: DP [\d, ]+",
    POINT + r"left out: its scale is not proved yet",
    POINT + rf"{NUMBER} V is impossible: the device counts tenths of a volt",
    POINT + rf"{NUMBER} W is more than voltage x current: the device counts tenths",
    POINT + r"the device counts tenths of a watt, as it does of a volt",
    POINT + r"the maker says W, but most such devices count tenths, which is assumed",
    POINT + rf"{NUMBER} W is more than it yields: the device counts milliwatts",
    POINT + rf"left out: {NUMBER} W is more than the {NUMBER} VA of its phases",
    (
        r"\w+: the cloud misread a frame with a header: voltage and current were recovered, "
        r"the power is lost"
    ),
    POINT + r"the phases add up to ten times the total: their unit is smaller",
    POINT + r"interpreted by the profile \w+, its maker describes it differently",
    POINT + r"only one known product has it: compare it with the meter's display",
    POINT + rf"by the maker's scale {NUMBER} °C would be the maximum: it is taken without decimals",
    POINT + r"a power at 0 V: its voltage was not measured",
    rf"active_power: {NUMBER} W is more than {NUMBER} V and {NUMBER} A allow",
    r"active_power is not the sum of its phases",
    r"active_power_\w: its direction is missing or unknown in this answer: taken as import",
)


def said() -> Iterator[str]:
    for captured in captures():
        for inputs in INPUTS:
            for capture in inputs.captures(captured):
                yield from try_capture(capture).warnings


def test_every_warning_is_a_sentence_that_a_stranger_understands() -> None:
    every = set(said())
    unknown = [one for one in every if not any(re.fullmatch(known, one) for known in SENTENCES)]
    assert unknown == []
    unsaid = [known for known in SENTENCES if not any(re.fullmatch(known, one) for one in every)]
    assert unsaid == []
