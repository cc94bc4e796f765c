#!/bin/sh
# Tibber's prices are for quarters of an hour and carry their distance from UTC, as the hour from two to three comes
# twice when summer time ends. pytibber 0.39.1 gives the one that is valid, in the zone that it is told: Home
# Assistant gives it the house's.
#
# Guess: at 2:05 for the second time it is the price of 02:00+01:00.
# Seen: it is that of 02:00+02:00, an hour old, and so on for all four quarters; the rank is that quarter's as well.
# Both moments have the same zone, and between such Python subtracts and compares what the clock shows. In UTC,
# the zone where none is named, the price is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pytibber==0.39.1 time-machine==2.19.0 tzdata==2025.2
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import aiohttp
import time_machine
from tibber import Tibber
from tibber.home import TibberHome

BERLIN = ZoneInfo("Europe/Berlin")
quarters = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=15 * number) for number in range(100)]
print("pytibber", version("pytibber"))


async def main():
    async with aiohttp.ClientSession() as session:
        seen = {}
        for zone in (UTC, BERLIN):
            home = TibberHome("home", Tibber(websession=session, user_agent="finding/1", time_zone=zone))
            home.price_total = {quarter.astimezone(BERLIN).isoformat(): number / 1000 for number, quarter in enumerate(quarters)}
            for hour in (0, 1, 2):
                moment = datetime(2026, 10, 25, hour, 5, tzinfo=UTC)
                with time_machine.travel(moment, tick=False):
                    price, _, _ = home.current_price_data()
                seen[str(zone), hour] = price
                right = home.price_total[moment.replace(minute=0).astimezone(BERLIN).isoformat()]
                print(f"{zone}, at {moment.astimezone(BERLIN):%H:%M%z}: {price}, right: {right}")
        assert [seen["UTC", hour] for hour in (0, 1, 2)] == [0.008, 0.012, 0.016]
        assert [seen["Europe/Berlin", hour] for hour in (0, 1, 2)] == [0.008, 0.008, 0.016], "that is no longer so"


asyncio.run(main())
PYTHON
