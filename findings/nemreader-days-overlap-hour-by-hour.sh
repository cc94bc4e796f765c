#!/bin/sh
# NEM12 is the form in which Australia's meters hand out their five-minute values; nemreader 1.0.1 reads it and sums
# the values up to the interval that is asked for.
#
# Guess: 288 values of 0.1 kWh are 48 half hours of 0.6, or 12 times two hours of 2.4, or one day of 28.8.
# Seen: up to an hour so they are. Of longer ones only the minutes are looked at: two hours and a day alike are 24
# intervals with the energy of one hour each, that claim to last two hours or a day and begin an hour after one
# another, the first of them the day before. Their sum is right, so that it does not show; the mean power of such
# a day is a 24th of what was used.
#
# Needs: Python 3.12 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=
for version in 3.14 3.13 3.12; do
  # pyenv's stand-ins are on the PATH even where their version is not the one in use.
  for python in "python$version" "$HOME/.pyenv/versions/$version".*/bin/"python$version" ""; do
    [ -n "$python" ] && "$python" -c '' 2>/dev/null && break 2
  done
done
[ -n "$python" ] || { echo "needs Python 3.12 or newer"; exit 2; }
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check nemreader==1.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

from nemreader import NEMFile

print("nemreader", version("nemreader"))
values = ",".join(["0.1"] * 288)
lines = (
    "100,NEM12,202401020000,MDP1,RETAILER1",
    "200,NMI1234567,E1,E1,E1,N1,METER1,kWh,5,",
    f"300,20240101,{values},A,,,20240102000000,",
    "900",
)
Path("meter.csv").write_text("\n".join(lines) + "\n")
seen = {}
for minutes in (30, 60, 120, 1440):
    frame = NEMFile("meter.csv").get_data_frame_long(set_interval=minutes)
    begins, ends, energies = (frame[name].to_list() for name in ("t_start", "t_end", "value"))
    overlapping = sum(begin < end for begin, end in zip(begins[1:], ends))
    seen[minutes] = (len(energies), round(energies[0], 3), overlapping)
    print(f"{minutes} minutes: {len(energies)} of {energies[0]:.1f} kWh, the first from {begins[0]} to {ends[0]}, {overlapping} overlap")
assert seen == {30: (48, 0.6, 0), 60: (24, 1.2, 0), 120: (24, 1.2, 23), 1440: (24, 1.2, 23)}, "that is no longer so"
PYTHON
