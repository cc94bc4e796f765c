#!/bin/sh
# msconsconverter 2.0.0 turns MSCONS, the message in which German grid operators send quarter-hour values,
# into a table. Each value has a QTY segment and two DTM segments with its begin and end; QTY+220 is a value
# as it was measured, QTY+67 a substitute for one that is missing.
#
# Guess: three quarter hours give three rows, and the substitute counts as much as a measured value.
# Seen: twelve rows. From the first end on a row is written for every segment until the message ends, with
# what was read so far: values with the begin or end of another, and the last one six times. The first has
# the bounds of the whole day. The substitute is 0.0. The sum of the column is 14.25 kWh in place of 4.5.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check msconsconverter==2.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging
from importlib.metadata import version
from pathlib import Path

from msconsconverter.msconsconverter import MSCONSConverter

logging.disable(logging.CRITICAL)
QUARTERS = (("220", "1.25", "2300", "2315"), ("67", "1.50", "2315", "2330"), ("220", "1.75", "2330", "2345"))
segments = [
    "UNA:+.? ",
    "UNB+UNOC:3+9900000000001:500+9900000000002:500+251201:0800+1",
    "UNH+1+MSCONS:D:04B:UN:2.4c",
    "BGM+7+1+9",
    "DTM+137:202512010800?+00:303",
    "UNS+D",
    "NAD+DP",
    "LOC+172+DE0001234567890000000000000000000",
    "DTM+163:202511302300?+00:303",
    "DTM+164:202512012300?+00:303",
    "LIN+1",
    "PIA+5+1-1?:1.29.0:SRW",
]
for kind, value, begin, end in QUARTERS:
    segments.append(f"QTY+{kind}:{value}")
    segments.append(f"DTM+163:20251130{begin}?+00:303")
    segments.append(f"DTM+164:20251130{end}?+00:303")
segments += ["UNT+20+1", "UNZ+1+1", ""]
Path("values.txt").write_text("'".join(segments))
read = MSCONSConverter(target_dir=".", logger=logging.getLogger()).parse_mscons("values.txt")
(rows,) = read["qty"].values()
print("msconsconverter", version("msconsconverter"))
for row in rows:
    print(*row)
total = sum(float(value) for value, _, _ in rows)
print(len(rows), "rows of 3 quarter hours, together", total, "of 4.5 kWh")
assert (len(rows), total) == (12, 14.25), "that is no longer so"
assert rows[0] == ("1.25", "202511302300+00", "202512012300+00"), "the first row has its own quarter hour"
assert rows[5] == (0.0, "202511302315+00", "202511302330+00"), "the substitute is 1.50"
PYTHON
