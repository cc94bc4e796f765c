#!/bin/sh
# A P1 telegram's time ends with S for summer time or W for winter time. Swedish meters keep winter time all
# year, as the rules of their trade want it, and say so: W in July too. dsmr-parser 1.11.2 has a
# specification for them (telegram_specifications.SWEDEN).
#
# Guess: the letter says the offset, so that 12:00 W is 11:00 UTC on every day of the year.
# Seen: the letter is asked only in the hour that the clocks repeat in October. 12:00 W in July is taken for
# summer time of Amsterdam, 10:00 UTC, as 12:00 S is: from March to October each reading is an hour too early.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check dsmr-parser==1.11.2
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from dsmr_parser.parsers import TelegramParser
from dsmr_parser.telegram_specifications import SWEDEN

print("dsmr-parser", version("dsmr-parser"))
parser = TelegramParser(SWEDEN)


def read(stamp):
    lines = ("/ABC5\\000000000", "", f"0-0:1.0.0({stamp})", "1-0:1.8.0(00001234.567*kWh)", "!")
    frame = "\r\n".join(lines)
    telegram = parser.parse(f"{frame}{TelegramParser.crc16(frame):04X}\r\n")
    return f"{telegram.P1_MESSAGE_TIMESTAMP.value:%d %B %H:%M UTC}"


seen = {stamp: read(stamp) for stamp in ("250115120000W", "250715120000W", "250715120000S", "251026023000S", "251026023000W")}
for stamp, moment in seen.items():
    print(stamp, "->", moment)
assert seen["250115120000W"] == "15 January 11:00 UTC"
assert seen["250715120000W"] == seen["250715120000S"] == "15 July 10:00 UTC", "the letter counts in summer"
assert (seen["251026023000S"], seen["251026023000W"]) == ("26 October 00:30 UTC", "26 October 01:30 UTC")
PYTHON
