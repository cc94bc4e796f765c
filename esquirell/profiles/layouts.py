"""Published layouts: the datapoints of metering products.

The file is read only for otherwise unknown meters, and not kept in memory. script/layouts.py writes
it.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from esquirell.domain.inference import Specified
from esquirell.domain.record import record
from esquirell.profiles.library import damaged_file, packaged_text

_FILE = "layouts.json"


@record
class Layout:
    """The datapoints that some products share, and the ids of those products."""

    points: tuple[Specified, ...]
    products: tuple[str, ...]


class Published:
    """The published layouts, except for those of excluded products."""

    def __init__(self, without: Collection[str] = ()) -> None:
        self._without = frozenset(without)

    def of_product(self, product_id: str) -> tuple[Specified, ...]:
        """Return the datapoints of a product; none if they are not published."""
        if not product_id or product_id in self._without:
            return ()
        content = _content()
        for layout in content["layouts"]:
            if product_id in layout["products"]:
                return tuple(_point(content["datapoints"][at]) for at in layout["datapoints"])
        return ()

    def every(self) -> Iterator[Layout]:
        """Return all layouts, without those shared with an excluded product."""
        content = _content()
        points = [_point(row) for row in content["datapoints"]]
        for layout in content["layouts"]:
            if self._without.isdisjoint(layout["products"]):
                known = tuple(points[at] for at in layout["datapoints"])
                yield Layout(known, tuple(layout["products"]))

    def source(self) -> str:
        """Return where the layouts come from, and their licence."""
        content = _content()
        return f"{content['source']} ({content['licence']})"


def _content() -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(packaged_text(_FILE))
    except json.JSONDecodeError as error:
        raise damaged_file(_FILE, error) from error
    return found


def _point(row: Sequence[Any]) -> Specified:
    dp, code, kind, *rest = row
    if kind == "value":
        unit, scale, lowest, highest = rest
        return Specified(str(dp), code, kind, unit, scale, lowest, highest)
    return Specified(str(dp), code, kind, choices=tuple(rest))
