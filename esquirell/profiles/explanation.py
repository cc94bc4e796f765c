"""Why an answer was understood the way it was: datapoint by datapoint."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.evidence import weigh
from esquirell.domain.recognition import ExaminedCandidate, Recognised
from esquirell.domain.record import record
from esquirell.profiles.capture import answer_of, identity_of
from esquirell.profiles.choice import choose
from esquirell.profiles.chosen import UNKNOWN, Choice, Identity
from esquirell.profiles.library import own, shipped

_MOST_REFUSED = 5


@record
class Explained:
    """One datapoint: its meaning, who proposed it, what supports and what contradicts it."""

    dp: str
    code: str
    raw: object
    became: str
    proposed: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@record
class Explanation:
    """How the profile of an answer was found, and each of its datapoints.

    `proofs` are what the values prove together, `refused` the candidates that they rule out.
    """

    found: str
    proofs: tuple[str, ...]
    refused: tuple[str, ...]
    datapoints: tuple[Explained, ...]


def explain(capture: Mapping[str, Any], directory: Path | None = None) -> Explanation:
    """Explain the result of `try_capture`. Raises ConfigError like that."""
    identity, answer = identity_of(capture), answer_of(capture)
    chosen = choose(identity, answer, list(own(directory).values()), list(shipped().values()))
    decoded = decode(answer, chosen.profile)
    proofs = weigh(decoded.values).proofs
    heard = chosen.recognised
    return Explanation(
        _how(identity, chosen),
        proofs,
        tuple(_refused(heard)) if heard else (),
        tuple(_explained(name, raw, chosen, decoded, proofs) for name, raw in answer.items()),
    )


def _how(identity: Identity, chosen: Choice) -> str:
    name = chosen.profile.name
    if chosen.profile is UNKNOWN:
        return "nothing proves that this is a meter"
    if chosen.recognised:
        return f"recognised by the answer alone ({name})"
    if name != "inferred":
        return f"profile {name}"
    if identity.described:
        return "the vendor's own specification"
    published = identity.product_id and chosen.guessed
    return f"the published layout of product {identity.product_id}" if published else "its codes"


def _refused(found: Recognised) -> Iterator[str]:
    for heard in found.refused[:_MOST_REFUSED]:
        reasons = (*heard.evidence.refusals, *(f"DP {dp} can't be" for dp in heard.decoded.refused))
        yield f"{_name(heard)}: {'; '.join(reasons)}"


def _name(heard: ExaminedCandidate) -> str:
    products = heard.candidate.products
    if heard.candidate.name == "layout":
        return f"layout of {products} {'product' if products == 1 else 'products'}"
    return f"profile {heard.candidate.name}"


def _explained(
    name: str, raw: object, chosen: Choice, decoded: Decoded, proofs: tuple[str, ...]
) -> Explained:
    point = chosen.profile.by_name.get(name)
    keys = [key for key, dp in decoded.sources.items() if dp == name and key in decoded.values]
    became = ", ".join(f"{key} = {decoded.values[key]:g}" for key in keys)
    title = (name, point.code) if point else (name,)
    doubts = [
        warning for warning in decoded.warnings if any(warning.startswith(_start(t)) for t in title)
    ]
    votes = dict(_votes(name, chosen.recognised)) if chosen.recognised else {}
    return Explained(
        dp=name,
        code=point.code if point else "",
        raw=raw,
        became=became or ("left out" if name in chosen.open else "a diagnostic"),
        proposed=tuple(votes) or ((_proposal(chosen),) if point else ()),
        supported=(
            *(f"{share:.0%} of the votes for {meaning}" for meaning, share in votes.items()),
            *(proof for proof in proofs if any(key in proof for key in keys)),
        ),
        refused=tuple(doubts),
    )


def _start(title: str) -> str:
    return f"DP {title} " if title.isdigit() else f"{title}:"


def _proposal(chosen: Choice) -> str:
    return "its code and unit" if chosen.profile.name == "inferred" else chosen.profile.name


def _votes(name: str, found: Recognised) -> Iterator[tuple[str, float]]:
    """Return what was proposed for a datapoint, and its share of the votes."""
    shares: dict[str, float] = defaultdict(float)
    for heard in found.heard:
        if name in heard.candidate.profile.datapoints:
            values = heard.decoded.values
            keys = [key for key, dp in heard.decoded.sources.items() if dp == name]
            meaning = ", ".join(f"{key} = {values[key]:g}" for key in keys if key in values)
            shares[meaning or "no measurement"] += heard.weight
    total = sum(shares.values()) or 1
    ranked = sorted(shares.items(), key=lambda one: -one[1])
    yield from ((meaning, weight / total) for meaning, weight in ranked if weight / total >= 0.01)  # noqa: PLR2004
