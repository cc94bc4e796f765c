"""What a later choice changes: scales, earlier conclusions, the keys that are published."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from esquirell.domain.profile import Profile
from esquirell.domain.record import record
from esquirell.profiles.chosen import UNKNOWN, Choice


@record
class Change:
    """What a better understood profile changes in a meter's published keys."""

    profile: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        """Return the change as a sentence for the log."""
        parts = {"now has": self.gained, "no longer has": self.lost, "has otherwise": self.changed}
        said = [f"{verb} {', '.join(keys)}" for verb, keys in parts.items() if keys]
        return f"it {' and '.join(said)} ({self.profile})"


def unscaled(choice: Choice) -> Iterator[str]:
    """Return the guessed counters that are raw because nothing proves their scale."""
    for dp, point in choice.profile.datapoints.items():
        counts = point.key and point.key.startswith("energy_import")
        if choice.guessed and counts and point.trust == "unproven" and not point.note:
            yield dp


def scaled(choice: Choice, divisors: Mapping[str, float]) -> Choice:
    """Set the proved scale of counters."""
    points = dict(choice.profile.datapoints)
    for dp, divisor in divisors.items():
        points[dp] = points[dp].model_copy(update={"divisor": divisor, "trust": "sure"})
    return replace(choice, profile=choice.profile.with_datapoints(points))


def over(
    before: Choice, after: Choice, overruled: Collection[str], silent: Collection[str]
) -> Choice:
    """Keep earlier conclusions: an answer with less evidence must not change a scale.

    What it is `silent` of keeps its meaning, which no other datapoint takes.
    """
    if after.profile is UNKNOWN:
        return before
    if before.profile.name != after.profile.name and not (before.guessed and after.guessed):
        return after
    known = before.profile.datapoints
    held = {name: point for name, point in known.items() if name in silent and point.keys}
    settled = held | {
        name: point
        for name, point in known.items()
        if point.trust not in ("doubtful", "unproven")
        and point.keys
        and name not in before.open
        and name not in overruled
    }
    reserved, taken = ({key for one in of.values() for key in one.keys} for of in (held, settled))
    more = {
        name: point
        for name, point in after.profile.datapoints.items()
        if reserved.isdisjoint(point.keys)
        and (
            taken.isdisjoint(point.keys)
            or name in overruled
            or (name in known and known[name].keys == point.keys)
        )
    }
    raw = {name: one for name, one in known.items() if not one.keys or one.trust == "unproven"}
    profile = after.profile.with_datapoints({**raw, **more, **settled})
    return replace(after, profile=profile, open=after.open | (before.open & held.keys()))


def change_of(before: Profile, after: Profile) -> Change | None:
    """Compare two profiles by what they publish; return None if that is the same."""
    old, new = _published(before), _published(after)
    gained = tuple(key for key in new if key not in old)
    lost = tuple(key for key in old if key not in new)
    changed = tuple(key for key in new if key in old and new[key] != old[key])
    if not (gained or lost or changed):
        return None
    return Change(after.name, gained, lost, changed)


def _published(profile: Profile) -> dict[str, tuple[str, float]]:
    """Return the datapoint and the divisor of each key that is published."""
    return {
        key: (dp, point.divisor)
        for dp, point in profile.datapoints.items()
        if point.trust != "unproven"
        for key in point.keys
    }
