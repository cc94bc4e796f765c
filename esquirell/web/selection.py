"""What somebody wants to see of the past, as the address of the page says it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from urllib.parse import urlencode

from esquirell.domain.meter import Meter
from esquirell.domain.quantity import QUANTITIES, split_key
from esquirell.domain.record import record
from esquirell.domain.statistic import is_energy
from esquirell.plots.figure import MOST
from esquirell.services.history import View
from esquirell.web.spans import LENGTHS, Length, Span

ENERGY, POWER, COST = "energy", "power", "cost"
# Readings of more meters than these are too many to be drawn one by one.
_MOST_RAW = 4
# Of more meters than have a place in one picture, less is shown of each.
_COARSE: tuple[View, ...] = ("day", "hour")

# Gives all values of a parameter of the query.
Arguments = Callable[[str], Sequence[str]]


@record
class RecordedMeters:
    """The meters there are, and the quantity keys that each has ever had, by its name."""

    meters: Sequence[Meter]
    keys_of: Mapping[str, Sequence[str]]

    @property
    def names(self) -> list[str]:
        """The names of the meters: those configured, then those that have a past only."""
        configured = [meter.name for meter in self.meters]
        return list(dict.fromkeys([*configured, *self.keys_of]))

    @property
    def signature(self) -> tuple[object, ...]:
        """What is drawn differs where this does."""
        meters = tuple((meter.name, meter.title, meter.upstream) for meter in self.meters)
        return meters, tuple((name, tuple(keys)) for name, keys in self.keys_of.items())

    @property
    def upstream(self) -> dict[str, str]:
        """The meter above each that has one."""
        return {meter.name: meter.upstream for meter in self.meters if meter.upstream}

    def title(self, name: str) -> str:
        """Return the name of a meter for people."""
        return next((meter.title for meter in self.meters if meter.name == name), name)

    def areas(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the areas with the names of their meters, if there are several."""
        found: dict[str, list[str]] = {}
        for meter in self.meters:
            if meter.area:
                found.setdefault(meter.area, []).append(meter.name)
        return [(area, tuple(names)) for area, names in found.items()] if len(found) > 1 else []

    def below(self, name: str) -> list[str]:
        """Return the meters whose energy this one measures as well."""
        return [meter for meter, above in self.upstream.items() if above == name]

    def keys(self, name: str, quantity: str) -> list[str]:
        """Return how a meter measures a quantity: as a total, or in parts."""
        known = self.keys_of.get(name, ())
        if quantity in known:
            return [quantity]
        return sorted(key for key in known if _quantity_of(key) == quantity)

    def quantities(self) -> list[str]:
        """Return the quantities that any meter measures, but energies, in their usual order."""
        found = {_quantity_of(key) for keys in self.keys_of.values() for key in keys}
        return [key for key in QUANTITIES if key in found and not is_energy(key)]


def _quantity_of(key: str) -> str:
    try:
        return split_key(key)[0].key
    except KeyError:
        return ""


@record
class Selection:
    """What is asked for: energy, costs or a quantity, of which meters, when, divided into what.

    `compare` puts the same span of a year ago beside it.
    """

    show: str
    span: Span
    view: View
    meters: tuple[str, ...]
    compare: bool = False

    @property
    def of_statistics(self) -> bool:
        """Whether it is read from the statistics, not from the readings."""
        return self.show == COST or self.view not in {"raw", "quarter"}

    @property
    def views(self) -> tuple[View, ...]:
        """What the span may be divided into."""
        return views_of(self.show, self.span)

    def address(self, **changes: object) -> str:
        """Return the query of the address that asks for this, with some changes."""
        chosen = replace(self, **changes)  # type: ignore[arg-type]  # by their names
        views = views_of(chosen.show, chosen.span)
        # What a longer span is divided into is chosen anew.
        by = [("by", chosen.view)] if chosen.view in views and "view" not in changes else []
        if "view" in changes:
            by = [("by", chosen.view)]
        pairs = [
            ("show", chosen.show),
            ("span", chosen.span.length),
            ("at", chosen.span.first.isoformat()),
            *([("until", chosen.span.last.isoformat())] if chosen.span.length == "range" else []),
            *(by if chosen.span.length == self.span.length else []),
            *(("meter", name) for name in chosen.meters),
            *([("compare", "1")] if chosen.compare else []),
        ]
        return urlencode(pairs)


def views_of(show: str, span: Span) -> tuple[View, ...]:
    """Return what a span may be divided into, the usual first."""
    if show == COST:
        return tuple(view for view in span.energy_views if view != "quarter")
    return span.energy_views if show == ENERGY else span.curve_views


def select(arguments: Arguments, recorded: RecordedMeters, today: date) -> Selection:
    """Read what is asked for; what makes no sense is left to its default."""
    meters = tuple(name for name in recorded.names if name in arguments("meter"))
    chosen = meters or _whole_house(recorded)
    length: Length = next((one for one in LENGTHS if one in arguments("span")), "day")
    shown = (ENERGY, POWER, COST, *recorded.quantities())
    show = next((one for one in shown if one in arguments("show")), ENERGY)
    span = _span(length, arguments, today)
    views = views_of(show, span)
    if len(chosen) > _MOST_RAW:
        views = tuple(view for view in views if view != "raw")
    usual = views[0]
    if len(chosen) > MOST and show not in {ENERGY, COST}:
        usual = next((one for one in _COARSE if one in views), usual)
    view = next((one for one in views if one in arguments("by")), usual)
    compare = "1" in arguments("compare") and length != "all"
    return Selection(show, span, view, chosen, compare)


def _whole_house(recorded: RecordedMeters) -> tuple[str, ...]:
    """Return the meters that no other one measures as well."""
    return tuple(meter.name for meter in recorded.meters if not meter.upstream) or tuple(
        recorded.names
    )


def _span(length: Length, arguments: Arguments, today: date) -> Span:
    day = _day(arguments("at"), today)
    if length == "range" and arguments("until"):
        return Span.between(day, _day(arguments("until"), today))
    return Span.around(length, day)


def _day(texts: Sequence[str], today: date) -> date:
    for text in texts:
        with suppress(ValueError):
            day = date.fromisoformat(text)
            # The years before and after have to be dates, too.
            if date(2000, 1, 1) <= day <= date(2100, 1, 1):
                return day
    return today
