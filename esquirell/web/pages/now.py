"""Now: the power of each meter and of the house, and the day so far; live."""

from typing import Any

from esquirell.web.handler import Handler
from esquirell.web.narrowed import Narrowed
from esquirell.web.overview import House
from esquirell.web.places import Remembered, day_of, days_of, of_house
from esquirell.web.stream import Stream

MANY = 12


class Now(Handler):
    """The first page."""

    page = "now"

    async def get(self) -> None:
        """Show all meters as they are now."""
        house = await self.compute(self.site.overview.look)
        self.render(
            "now.html",
            house=house,
            many=len(house.meters) > MANY,
            narrowed=Narrowed.by(self.get_query_argument),
            shown=of_house(house, self.texts, self.formats),
            day=day_of,
            days=days_of(house.today),
            doubled=1 < len(house.counted) <= MANY and len(house.counted) == len(house.meters),
        )


class LiveNow(Stream):
    """The live values of the first page."""

    def initialize(self) -> None:
        """Remember what is shown of each meter: of many, only a few are read at the same moment."""
        self._remembered: Remembered = {}

    def shown(self, house: House) -> dict[str, Any]:
        return of_house(house, self.texts, self.formats, self._remembered)
