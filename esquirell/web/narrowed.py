"""A list of meters, filtered and sorted."""

from collections.abc import Callable, Sequence

from esquirell.domain.meter import in_natural_order
from esquirell.domain.record import record
from esquirell.web.overview import MeterSnapshot

# From this many meters on, a list can be filtered.
MANY = 8
_STATES = ("offline", "waiting", "online", "off")
_Key = Callable[[MeterSnapshot], tuple[object, ...]]
_ORDERS: dict[str, _Key] = {
    "name": lambda snapshot: in_natural_order(snapshot.meter.title),
    "state": lambda snapshot: (_STATES.index(snapshot.state), not snapshot.warnings),
    "today": lambda snapshot: _largest_first(snapshot.used),
    "power": lambda snapshot: _largest_first(snapshot.power),
    "read": lambda snapshot: (snapshot.read_at is not None, snapshot.read_at),
}
ORDERS = tuple(_ORDERS)


@record
class Narrowed:
    """Which meters are snapshot: those that contain a text, those of an area.

    `order` is one of `ORDERS`, or empty for the order of the configuration.
    """

    text: str = ""
    area: str = ""
    order: str = ""

    @classmethod
    def by(cls, argument: Callable[[str, str], str]) -> "Narrowed":
        """Read the filter from a query; ignore an unknown order."""
        order = argument("sort", "")
        return cls(
            argument("q", "").strip()[:100],
            argument("area", "")[:200],
            order if order in _ORDERS else "",
        )

    def __bool__(self) -> bool:
        """Whether a filter is set."""
        return bool(self.text or self.area)

    def of(self, meters: Sequence[MeterSnapshot]) -> list[MeterSnapshot]:
        """Return the matching meters in order."""
        found = [snapshot for snapshot in meters if self._shows(snapshot)]
        return sorted(found, key=_ORDERS[self.order]) if self.order else found

    def _shows(self, snapshot: MeterSnapshot) -> bool:
        meter = snapshot.meter
        known = (meter.title, meter.name, meter.area, meter.device_id, meter.address)
        words = " ".join(known).casefold()
        return self.area in ("", meter.area) and self.text.casefold() in words


def areas_of(meters: Sequence[MeterSnapshot]) -> list[str]:
    """Return the areas of some meters, in order."""
    return list(dict.fromkeys(snapshot.meter.area for snapshot in meters if snapshot.meter.area))


def _largest_first(value: float | None) -> tuple[object, ...]:
    return (value is None, -(value or 0.0))
