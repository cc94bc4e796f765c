#!/usr/bin/env bash
# Celery's Redis result backend with keepalive, over a Unix socket.
#
# Guess: redis_socket_keepalive = True is of use over TCP only, and is ignored for a socket address.
# Seen:  the first .delay() raises a TypeError: the backend hands socket_keepalive to redis-py's
#        UnixDomainSocketConnection, which does not take it. kombu's broker transport leaves it out.
# So esquirell sets it for TCP only (esquirell/broker/celery_config.py).
# Needs: python3 with venv, redis-server on PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'celery[redis]==5.7.0' 'kombu==5.7.0' 'redis==8.1.0' 2>/dev/null
redis-server --port 0 --unixsocket "$work/r.sock" --save '' --daemonize no >"$work/log" &
server=$!
for _ in $(seq 100); do [ -S "$work/r.sock" ] && break; sleep 0.1; done

said=$(SOCKET="$work/r.sock" "$work/venv/bin/python" - <<'PYTHON'
import os

from celery import Celery, __version__

url = f"redis+socket://{os.environ['SOCKET']}?virtual_host=0"
print(f"celery {__version__}")
for keepalive in (False, True):
    app = Celery("finding", broker=url, backend=url)
    app.conf.redis_socket_keepalive = keepalive
    try:
        sent = app.send_task("some.task")
        app.backend.store_result(sent.id, 5, "SUCCESS")
        print(f"keepalive {keepalive}: result {sent.get(timeout=10)}")
    except TypeError as error:
        print(f"keepalive {keepalive}: TypeError, {'socket_keepalive' in str(error)}")
PYTHON
)
echo "$said"
expected='celery 5.7.0
keepalive False: result 5
keepalive True: TypeError, True'
[ "$said" = "$expected" ] || { echo "this has changed"; exit 1; }
