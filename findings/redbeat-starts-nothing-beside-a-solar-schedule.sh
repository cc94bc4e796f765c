#!/usr/bin/env bash
# Celery has a schedule for sunrise and sunset (celery.schedules.solar), as one wants it for panels. celery-redbeat
# 2.4.2 takes the place of Celery's own beat.
#
# Guess: it keeps that schedule as the others; or it says that it cannot, and starts the others.
# Seen: it has no form for it in Redis. One such entry in beat_schedule raises a TypeError while the scheduler is
# made, so that beat does not start and the entries behind it, here the reading of a meter each minute, are not
# stored either. Those before it are in Redis, so that whether they are known depends on their place in the list.
#
# Needs: python3 with venv, redis-server on PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'celery-redbeat==2.4.2' 'celery[redis]==5.7.0' 'ephem==4.2' 2>/dev/null
redis-server --port 0 --unixsocket "$work/r.sock" --save '' --daemonize no >"$work/log" &
server=$!
for _ in $(seq 100); do [ -S "$work/r.sock" ] && break; sleep 0.1; done

said=$(URL="unix://$work/r.sock" "$work/venv/bin/python" - <<'PYTHON'
import os
from importlib.metadata import version

from celery import Celery
from celery.schedules import solar
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis

print("celery-redbeat", version("celery-redbeat"))
app = Celery("finding", broker="memory://")
app.conf.update(timezone="Europe/Warsaw", redbeat_redis_url=os.environ["URL"])
app.conf.beat_schedule = {
    "first": {"task": "read_meters", "schedule": 30.0},
    "sunset": {"task": "read_panels", "schedule": solar("sunset", 52.2, 21.0)},
    "minute": {"task": "read_meters", "schedule": 60.0},
}
try:
    RedBeatScheduler(app=app)
    print("beat starts")
except TypeError as error:
    print("TypeError:", error)
found = get_redis(app).keys("redbeat:*")
print("stored:", *(name for name in app.conf.beat_schedule if f"redbeat:{name}" in found))
PYTHON
)
echo "$said"
expected='celery-redbeat 2.4.2
TypeError: Object of type solar is not JSON serializable
stored: first'
[ "$said" = "$expected" ] || { echo "this has changed"; exit 1; }
