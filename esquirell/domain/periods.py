"""Hours, days and months of a time zone, as moments in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Resolution = Literal["hour", "day", "month"]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)

_HOUR = timedelta(hours=1)
# Longer than any, and shorter than two of them.
_BEYOND = {"day": timedelta(hours=36), "month": timedelta(days=45)}


class Calendar:
    """The periods of one time zone: its days have 23 or 25 hours when its clocks change."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def floor(self, moment: datetime, resolution: Resolution) -> datetime:
        """Give the start of the period that `moment` lies in."""
        local = moment.astimezone(self._zone).replace(minute=0, second=0, microsecond=0)
        if resolution != "hour":
            # Of a midnight that comes twice the first begins the day.
            local = local.replace(hour=0, fold=0)
        if resolution == "month":
            local = local.replace(day=1)
        return local.astimezone(UTC)

    def after(self, start: datetime, resolution: Resolution) -> datetime:
        """Give the start of the period that follows the one that begins at `start`."""
        if resolution != "hour":
            return self.floor(start + _BEYOND[resolution], resolution)
        following = self.floor(start + _HOUR, resolution)
        # Where clocks go back by half an hour, an hour has ninety minutes.
        return following if following > start else self.floor(start + 2 * _HOUR, resolution)
