"""Decides which of several datapoints with one meaning is published, whatever came first.

A load decides by V x I; before the first one words and ids do. That a value is zero decides
nothing, as it may be so for the moment, and where nothing decides, all of them stay raw.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from esquirell.domain.inference.inferred import InferredDatapoint
from esquirell.domain.inference.scaling import fits_its_unit
from esquirell.domain.inference.words import words_of
from esquirell.domain.plausibility import allows, apparent_of

# Below this, several powers may be that of one load.
_LEAST_VA = 100
_LEAST_FACTOR = 1 / 3
# The datapoints that Tuya defines; the others are the makers' own.
_DEFINED = range(1, 101)


def settle(points: Sequence[InferredDatapoint]) -> None:
    """Keep at most one datapoint of each meaning; it stays open until a load has decided."""
    several = defaultdict(list)
    for point in points:
        if point.key:
            several[point.key].append(point)
    alone = {key: twins[0].value for key, twins in several.items() if len(twins) == 1}
    for twins in several.values():
        if len(twins) > 1:
            _settle(twins, _apparent(twins[0], alone))


def _apparent(power: InferredDatapoint, alone: Mapping[str, float | None]) -> float | None:
    """Return V x I beside a power; None beside another quantity, and if it is unknown."""
    suffix = (power.key or "").removeprefix("active_power")
    volts = alone.get(f"voltage{suffix}", alone.get("voltage"))
    amperes = alone.get(f"current{suffix}")
    if power.quantity != "active_power" or not volts or amperes is None:
        return None
    return apparent_of(volts, amperes)


def _settle(twins: Sequence[InferredDatapoint], apparent: float | None) -> None:
    sent = [one for one in twins if one.raw is not None] or twins
    proved = [one for one in sent if _is_load(one, apparent)]
    strongest = max(map(_strength, sent))
    best = proved if len(proved) == 1 else [one for one in sent if _strength(one) == strongest]
    refuted = apparent is not None and not allows(apparent, best[0].value or 0)
    decided = len(best) == 1 and not refuted
    if len(proved) != 1:
        _keep_open(twins)
    for one, other in zip(twins, [*twins[1:], twins[0]], strict=True):
        if not decided:
            one.leave_out(f"{other.spec.code} has the same meaning: no answer showed which it is")
        elif one is not best[0]:
            one.drop(f"{best[0].spec.code} is this quantity")
            # Only of powers can a later answer show more than words do.
            one.trust = one.trust if best[0].quantity == "active_power" else "sure"


def _keep_open(twins: Sequence[InferredDatapoint]) -> None:
    for one in twins:
        one.trust = "likely" if one.trust == "sure" else one.trust


def _is_load(point: InferredDatapoint, apparent: float | None) -> bool:
    """Whether a power is that of a voltage and a current."""
    if apparent is None or apparent < _LEAST_VA:
        return False
    watts = abs(point.value or 0)
    return watts >= _LEAST_FACTOR * apparent and allows(apparent, watts)


def _strength(point: InferredDatapoint) -> tuple[bool, ...]:
    """Rank by what its maker says. The `main` charge is that of a store without its packs."""
    tokens, dp = words_of(point.spec.code), point.spec.name
    return (
        fits_its_unit(point),
        not {"total", "all"}.isdisjoint(tokens),
        "main" not in tokens,
        dp.isdecimal() and int(dp) in _DEFINED,
        "cur" in tokens,
    )
