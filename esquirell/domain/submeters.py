"""Counts energy once that several meters measure, however many of them are in a row."""

from collections.abc import Iterable, Mapping

from esquirell.domain.meter import Meter

# By name, the meter that also measures a meter's energy.
Upstream = Mapping[str, str]


def upstream_of(meters: Iterable[Meter]) -> Upstream:
    """Return the meter above each submeter."""
    return {meter.name: meter.upstream for meter in meters if meter.upstream}


def above(name: str, upstream: Upstream) -> tuple[str, ...]:
    """Return all meters above one, the nearest first."""
    found: dict[str, None] = {}
    while (name := upstream.get(name, "")) and name not in found:
        found[name] = None
    return tuple(found)


def behind(names: Iterable[str], upstream: Upstream) -> set[str]:
    """Return those of some meters whose energy another one of them also measures."""
    known = frozenset(names)
    return {name for name in known if not known.isdisjoint(above(name, upstream))}
