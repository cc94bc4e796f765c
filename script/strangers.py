"""Try the rules on devices that are no meters: made-up answers of all other public schemas.

Values are taken at random within the bounds that the makers give. Prints each answer of which
something electrical came out, and exits with 1 if there was one. Needs npm, and ten minutes:
`python -m script.strangers`.
"""

import base64
import random
import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any

from esquirell.domain.quantity import split_key
from esquirell.profiles.capture import try_capture
from script.layouts import products

EACH = 2
OTHER = ("temperature", "state_of_charge")
LENGTHS = (4, 6, 8, 8, 10, 13, 15, 17)
TEXTS = ("", "abc", "12", "00:00")


def main(seed: int = 1, step: int = 1) -> int:
    """Judge each `step`th schema without a metering datapoint; return how many gave a value."""
    chance = random.Random(seed)  # noqa: S311 - made-up data is no secret
    tried = wrong = 0
    for product, rows, measures in islice(products(), 0, None, step):
        for _ in range(0 if measures else EACH):
            dps = {str(row[0]): _value(row, chance) for row in rows if chance.random() < 0.85}  # noqa: PLR2004
            values = try_capture({"dps": dps}).values if dps else {}
            electrical = {k: v for k, v in values.items() if split_key(k)[0].key not in OTHER}
            tried += bool(dps)
            if electrical:
                wrong += 1
                sys.stdout.write(f"{product}: {dps} gave {electrical}\n")
    sys.stdout.write(f"{wrong} of {tried} answers of devices that are no meters gave something\n")
    return wrong


def _value(row: tuple[Any, ...], chance: random.Random) -> object:
    kind, rest = row[2], row[3:]
    makers: Mapping[str, Any] = {
        "bool": lambda: chance.random() < 0.5,  # noqa: PLR2004
        "enum": lambda: chance.choice(rest or ("on",)),
        "bitmap": lambda: chance.choice((0, 0, chance.randint(0, 31))),
        "string": lambda: chance.choice(TEXTS),
        "raw": lambda: base64.b64encode(chance.randbytes(chance.choice(LENGTHS))).decode(),
        "value": lambda: _number(rest, chance),
    }
    return makers.get(kind, lambda: "")()


def _number(rest: tuple[Any, ...], chance: random.Random) -> int:
    """Return a number as devices send them: mostly small ones, the bounds, or any."""
    low, high = sorted((int(rest[2] or 0), int(rest[3] or 100)))
    small = int(min(high, max(low, 10 ** chance.uniform(0, 5))))
    return chance.choice((low, high, small, small, chance.randint(low, high)))


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:])) else 0)
