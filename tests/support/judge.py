"""Which values of real meters are decoded right, missing or wrong, by what is known of them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.captures import Captured, is_right

from esquirell import profiles
from esquirell.domain.decoding import decode as decode_by
from esquirell.profiles.capture import answer_of, identity_of, try_capture
from esquirell.profiles.choice import choose
from esquirell.profiles.layouts import Published

_PRODUCT = re.compile(r"product (\w+)")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a device: which parts of a capture, and which of its answers."""

    name: str
    known: tuple[str, ...]
    answers: tuple[str, ...]

    def captures(self, captured: Captured) -> Iterator[dict[str, Any]]:
        """Return what the device is known by, once per answer; none where a part is not there."""
        if self.known and not captured.capture.get(self.known[0]):
            return
        for answer in self.answers:
            if captured.capture.get(answer):
                parts = (*self.known, answer)
                yield {part: captured.capture.get(part) for part in parts}


INPUTS = (
    Inputs("all that is known", ("mapping", "spec", "product_id", "category"), ("status", "dps")),
    Inputs("the maker's mapping", ("mapping", "category"), ("status", "dps")),
    Inputs("the cloud's specification", ("spec", "category"), ("status",)),
    Inputs("the product id", ("product_id",), ("dps",)),
    Inputs("the LAN answer alone", (), ("dps",)),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one capture: each expected key is right, missing or wrong.

    `unlisted` are keys with a value that nobody expected.
    """

    file: str
    inputs: str
    right: frozenset[str]
    missing: frozenset[str]
    wrong: Mapping[str, tuple[float, float]]
    unlisted: Mapping[str, float]


# Nothing but the answer and the id are needed to leave a product's own knowledge out.
LEFT_OUT = tuple(
    inputs for inputs in INPUTS if "mapping" not in inputs.known and "spec" not in inputs.known
)


def decode(capture: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the values that the service would publish."""
    return try_capture(capture).values


def judge(captures: Iterable[Captured], choices: Iterable[Inputs] = INPUTS) -> Iterator[Verdict]:
    """Return a verdict on every capture, with each choice of inputs."""
    for captured in captures:
        for inputs in choices:
            for capture in inputs.captures(captured):
                yield verdict(captured, inputs.name, decode(capture))


def judge_left_out(captures: Iterable[Captured]) -> Iterator[Verdict]:
    """Return a verdict on every capture as if its product were unknown.

    The profiles that claim it are left out, and the published layout that it has.
    """
    for captured in captures:
        products = set(_PRODUCT.findall(captured.capture.get("mapping_from") or ""))
        products.add(captured.capture["product_id"])
        others = [one for one in profiles.shipped().values() if products.isdisjoint(one.products)]
        for inputs in LEFT_OUT:
            for capture in inputs.captures(captured):
                known, answer = identity_of(capture), answer_of(capture)
                chosen = choose(known, answer, (), others, Published(products - {None}))
                values = decode_by(answer, chosen.profile).values
                yield verdict(captured, inputs.name, values)


def verdict(captured: Captured, inputs: str, values: Mapping[str, float]) -> Verdict:
    """Compare the values that came with those that were expected."""
    found = {key: _found(values, key, captured.also) for key in captured.right}
    right = {key for key, came in found.items() if came and is_right(came[1], captured.right[key])}
    wrong = {
        key: (came[1], captured.right[key])
        for key, came in found.items()
        if came and key not in right
    }
    taken = {came[0] for came in found.values() if came} | captured.disputed
    return Verdict(
        captured.file,
        inputs,
        frozenset(right),
        frozenset(key for key, came in found.items() if not came),
        wrong,
        {key: value for key, value in values.items() if key not in taken},
    )


def table(verdicts: Iterable[Verdict]) -> dict[str, Counter[str]]:
    """Count devices and values by inputs."""
    counts: dict[str, Counter[str]] = {}
    for one in verdicts:
        row = counts.setdefault(one.inputs, Counter())
        row["answers"] += 1
        row["values"] += len(one.right) + len(one.missing) + len(one.wrong)
        row["right"] += len(one.right)
        row["missing"] += len(one.missing)
        row["wrong"] += len(one.wrong) + len(one.unlisted)
    return counts


def _found(
    values: Mapping[str, float], key: str, also: Mapping[str, tuple[str, ...]]
) -> tuple[str, float] | None:
    for name in (key, *also.get(key, ())):
        if name in values:
            return name, values[name]
    return None
