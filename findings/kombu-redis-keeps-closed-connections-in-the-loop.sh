#!/usr/bin/env bash
# kombu's Redis transport in an event loop, as a Celery worker uses it, when its connection is replaced.
#
# Guess: closing a connection takes its function out of the loop again, as Celery cancels its timers.
# Seen:  each registered connection leaves one function in hub.on_tick after it was closed: with three
#        connections in turn there are three, each called in every turn and holding its transport.
# So esquirell takes its own out when a connection is closed (esquirell/broker/transport.py).
# Needs: python3 with venv, redis-server on PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'celery[redis]==5.7.0' 'kombu==5.7.0' 'redis==8.1.0' 2>/dev/null
redis-server --port 0 --unixsocket "$work/r.sock" --save '' --daemonize no >"$work/log" &
server=$!
for _ in $(seq 100); do [ -S "$work/r.sock" ] && break; sleep 0.1; done

said=$(SOCKET="$work/r.sock" "$work/venv/bin/python" - <<'PYTHON'
import os

from kombu import Connection, __version__
from kombu.asynchronous import Hub

print(f"kombu {__version__}")
hub = Hub()
for number in (1, 2, 3):
    connection = Connection(f"redis+socket://{os.environ['SOCKET']}")
    connection.connect()
    connection.register_with_event_loop(hub)
    connection.close()
    print(f"{number} closed, functions left in the loop: {len(hub.on_tick)}")
PYTHON
)
echo "$said"
grep -qx "3 closed, functions left in the loop: 3" <<<"$said"
