#!/bin/sh
# Green Button is the form in which North America's grid operators hand out a meter's intervals. Each channel says
# in which direction it counts: 1 forward, 19 reverse, 4 net, 20 total. A net channel is what a house with
# panels gets where only the difference is measured.
#
# Guess: greenbutton-objects 2024.7.11 reads all four, or leaves a channel out whose direction it does not know.
# Seen: it knows forward and reverse. A feed that has a net or a total channel raises a ValueError and nothing
# of it is read, not even the consumption in the other channel.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check greenbutton-objects==2024.7.11
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

from greenbutton_objects.parse import parse_feed

print("greenbutton-objects", version("greenbutton-objects"))
SPACES = 'xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi"'


def entry(link, content, *related):
    links = "".join(f'<link rel="related" href="{one}"/>' for one in related)
    return f'<entry><link rel="self" href="{link}"/><link rel="up" href="{link[:-2]}"/>{links}<content>{content}</content></entry>'


def channel(number, direction):
    reading, kind = f"/UP/1/MR/{number}", f"/RT/{number}"
    time = "<espi:duration>3600</espi:duration><espi:start>1704067200</espi:start>"
    value = f"<espi:IntervalReading><espi:timePeriod>{time}</espi:timePeriod><espi:value>250</espi:value></espi:IntervalReading>"
    return (
        entry(reading, "<espi:MeterReading/>", kind, f"{reading}/IB")
        + entry(kind, f"<espi:ReadingType><espi:flowDirection>{direction}</espi:flowDirection><espi:uom>72</espi:uom></espi:ReadingType>")
        + entry(f"{reading}/IB/1", f"<espi:IntervalBlock><espi:interval>{time}</espi:interval>{value}</espi:IntervalBlock>")
    )


def read(*directions):
    place = entry("/UP/1", "<espi:UsagePoint/>", "/UP/1/MR")
    channels = "".join(channel(number, one) for number, one in enumerate(directions, 1))
    Path("feed.xml").write_text(f"<feed {SPACES}>{place}{channels}</feed>")
    try:
        (point,) = parse_feed("feed.xml")
    except ValueError as error:
        return f"ValueError: {error}"
    return f"{sum(len(list(one.intervalReadings)) for one in point.meterReadings)} intervals"


seen = {directions: read(*directions) for directions in ((1,), (1, 19), (1, 4), (1, 20))}
for directions, said in seen.items():
    print("channels", *directions, "->", said)
assert seen[1, 19] == "2 intervals"
assert all(seen[1, one] == f"ValueError: {one} is not a valid FlowDirectionType" for one in (4, 20)), "that is no longer so"
PYTHON
