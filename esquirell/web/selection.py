"""The selection of the history page, as its URL encodes it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from urllib.parse import urlencode

from esquirell.domain.meter import Meter
from esquirell.domain.quantity import QUANTITIES, split_key
from esquirell.domain.record import record
from esquirell.domain.statistic import is_energy
from esquirell.domain.submeters import Upstream, upstream_of
from esquirell.plots.figure import MOST
from esquirell.services.history import View
from esquirell.web.spans import LENGTHS, Length, Span

ENERGY, POWER, COST = "energy", "power", "cost"
# With more meters than this, raw readings are too many to draw.
_MOST_RAW = 4
# For more meters than fit into one chart, less detail is shown.
_COARSE: tuple[View, ...] = ("day", "hour")

# Returns all values of a query parameter.
Arguments = Callable[[str], Sequence[str]]


@record
class RecordedMeters:
    """The meters there are, and the quantity keys that each has ever had, by name."""

    meters: Sequence[Meter]
    keys_of: Mapping[str, Sequence[str]]

    @property
    def names(self) -> list[str]:
        """The names of the meters: the configured ones, then those that only have stored data."""
        configured = [meter.name for meter in self.meters]
        return list(dict.fromkeys([*configured, *self.keys_of]))

    @property
    def signature(self) -> tuple[object, ...]:
        """A value that differs if the charts may differ."""
        meters = tuple((meter.name, meter.title, meter.upstream) for meter in self.meters)
        return meters, tuple((name, tuple(keys)) for name, keys in self.keys_of.items())

    @property
    def upstream(self) -> Upstream:
        """The meter above each submeter."""
        return upstream_of(self.meters)

    def title(self, name: str) -> str:
        """Return the label of a meter for people."""
        return next((meter.title for meter in self.meters if meter.name == name), name)

    def areas(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the areas with the names of their meters, if there are several."""
        found: dict[str, list[str]] = {}
        for meter in self.meters:
            if meter.area:
                found.setdefault(meter.area, []).append(meter.name)
        return [(area, tuple(names)) for area, names in found.items()] if len(found) > 1 else []

    def below(self, name: str) -> list[str]:
        """Return the submeters, whose energy this meter measures as well."""
        return [meter for meter, above in self.upstream.items() if above == name]

    def keys(self, name: str, quantity: str) -> list[str]:
        """Return the keys of a quantity for a meter: its total, or else its parts."""
        known = self.keys_of.get(name, ())
        if quantity in known:
            return [quantity]
        return sorted(key for key in known if _quantity_of(key) == quantity)

    def quantities(self) -> list[str]:
        """Return the measured quantities other than energies, in their usual order."""
        found = {_quantity_of(key) for keys in self.keys_of.values() for key in keys}
        return [key for key in QUANTITIES if key in found and not is_energy(key)]


def _quantity_of(key: str) -> str:
    try:
        return split_key(key)[0].key
    except KeyError:
        return ""


@record
class Selection:
    """What to show: energy, costs or a quantity, of which meters, of which span, in which steps.

    `compare` adds the same span a year ago.
    """

    show: str
    span: Span
    view: View
    meters: tuple[str, ...]
    compare: bool = False

    @property
    def of_statistics(self) -> bool:
        """Whether it is read from statistics instead of readings."""
        return self.show == COST or self.view not in {"raw", "quarter"}

    @property
    def views(self) -> tuple[View, ...]:
        """The steps into which the span may be divided."""
        return views_of(self.show, self.span)

    def address(self, **changes: object) -> str:
        """Return the URL query of this selection, with some changes."""
        chosen = replace(self, **changes)  # type: ignore[arg-type]  # by their names
        views = views_of(chosen.show, chosen.span)
        # A longer span gets its own default steps.
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
    """Return the steps into which a span may be divided, the default first."""
    if show == COST:
        return tuple(view for view in span.energy_views if view != "quarter")
    return span.energy_views if show == ENERGY else span.curve_views


def select(arguments: Arguments, recorded: RecordedMeters, today: date) -> Selection:
    """Parse a selection from a query; invalid values get their defaults."""
    meters = tuple(name for name in recorded.names if name in arguments("meter"))
    chosen = meters or _whole_house(recorded)
    length: Length = next((known for known in LENGTHS if known in arguments("span")), "day")
    shown = (ENERGY, POWER, COST, *recorded.quantities())
    show = next((known for known in shown if known in arguments("show")), ENERGY)
    span = _span(length, arguments, today)
    views = views_of(show, span)
    if len(chosen) > _MOST_RAW:
        views = tuple(view for view in views if view != "raw")
    usual = views[0]
    if len(chosen) > MOST and show not in {ENERGY, COST}:
        usual = next((coarse for coarse in _COARSE if coarse in views), usual)
    view = next((known for known in views if known in arguments("by")), usual)
    compare = "1" in arguments("compare") and length != "all"
    return Selection(show, span, view, chosen, compare)


def _whole_house(recorded: RecordedMeters) -> tuple[str, ...]:
    """Return the meters without submeters of another one: those that make up the house."""
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
            # The years before and after must be valid dates, too.
            if date(2000, 1, 1) <= day <= date(2100, 1, 1):
                return day
    return today
