#!/usr/bin/env bash
# celery-redbeat 2.4.2 has a schedule of its own beside Celery's: rrule, the recurrences of calendars. A
# schedule lives in Redis, and beat runs what it reads from there.
#
# Guess: daily at 8:00 of Warsaw is at 8:00 all year, and the last time is the one that `until` names.
# Seen: so it is until the entry is saved. A zone is stored as its distance from UTC on the day of dtstart: read
# back, it is at 9:00 from the last Sunday of March on, and what ends on an 8:00 of summer ends a day earlier.
# A dtstart without a zone is taken for UTC and shown in the app's: 8:00 is 9:00 at once.
#
# Needs: python3 with venv, redis-server on PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'celery-redbeat==2.4.2' 'celery[redis]==5.7.0' 2>/dev/null
redis-server --port 0 --unixsocket "$work/r.sock" --save '' --daemonize no >"$work/log" &
server=$!
for _ in $(seq 100); do [ -S "$work/r.sock" ] && break; sleep 0.1; done

said=$(URL="unix://$work/r.sock" "$work/venv/bin/python" - <<'PYTHON'
import os
from datetime import datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from celery import Celery
from redbeat import RedBeatSchedulerEntry
from redbeat.schedules import rrule

print("celery-redbeat", version("celery-redbeat"))
WARSAW = ZoneInfo("Europe/Warsaw")
app = Celery("finding", broker="memory://")
app.conf.update(timezone="Europe/Warsaw", redbeat_redis_url=os.environ["URL"])


def times(schedule):
    return " ".join(f"{moment.astimezone(WARSAW):%d.%m.-%H:%M}" for moment in schedule.rrule)


for name, zone in (("with a zone", WARSAW), ("without", None)):
    begin, end = (datetime(2026, 3, day, 8, tzinfo=zone) for day in (27, 30))
    wanted = rrule("DAILY", dtstart=begin, until=end, app=app)
    entry = RedBeatSchedulerEntry("daily", "read_meters", wanted, app=app).save()
    kept = RedBeatSchedulerEntry.from_key(entry.key, app=app).schedule
    print(f"{name}, as given:  {times(wanted)}")
    print(f"{name}, read back: {times(kept)}")
PYTHON
)
echo "$said"
expected='celery-redbeat 2.4.2
with a zone, as given:  27.03.-08:00 28.03.-08:00 29.03.-08:00 30.03.-08:00
with a zone, read back: 27.03.-08:00 28.03.-08:00 29.03.-09:00
without, as given:  27.03.-09:00 28.03.-09:00 29.03.-09:00 30.03.-09:00
without, read back: 27.03.-09:00 28.03.-09:00 29.03.-10:00 30.03.-10:00'
[ "$said" = "$expected" ] || { echo "this has changed"; exit 1; }
