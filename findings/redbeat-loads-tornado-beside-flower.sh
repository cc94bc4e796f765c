#!/usr/bin/env bash
# celery-redbeat 2.4.2 beside Flower: does a process that imports RedBeat load Flower's Tornado?
#
# RedBeat neither depends on Tornado nor mentions it. Flower does, and both are often installed in
# one environment: a worker with RedBeat, and Flower to look at it.
#
# Guess: no. RedBeat loads what it needs, and Tornado is loaded by the process that runs Flower.
# Seen: yes. RedBeat uses tenacity for its lock, and tenacity 9.2.1 imports Tornado wherever it is
# installed, for decorated coroutines (tenacity/__init__.py: `import tornado`, then
# `tenacity.tornadoweb`, which takes tornado.gen and with it the loop). So beat and every worker
# that imports RedBeat hold Tornado's modules, a MiB, only because Flower is installed beside.
# Who does not want that hides Tornado while tenacity is imported: it does without.
#
# Needs python3 (3.11 or newer) with pip and venv. Everything goes into a temporary folder.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install --quiet --target python \
    "celery-redbeat==2.4.2" "tenacity==9.2.1" "celery[redis]==5.7.0" "tornado==6.6.1"
export PYTHONPATH="$work/python"

cat >loaded.py <<'PYTHON'
import sys

if "hidden" in sys.argv:
    sys.modules["tornado"] = None
    import tenacity
    del sys.modules["tornado"]
import redbeat

print(sum(name.partition(".")[0] == "tornado" for name in sys.modules))
PYTHON

beside=$(python3 loaded.py)
hidden=$(python3 loaded.py hidden)
echo "celery-redbeat 2.4.2, tenacity 9.2.1, Tornado 6.6.1"
echo "modules of Tornado after 'import redbeat': $beside; with Tornado hidden from tenacity: $hidden"
[ "$beside" -ge 5 ] && [ "$hidden" -eq 0 ] || { echo "this has changed"; exit 1; }
