#!/usr/bin/env bash
# redis-py 8.1.0 at a Redis server that has as many clients as it lets in (maxclients).
#
# The server is there, answers "-ERR max number of clients reached" and closes the connection.
#
# Guess: a ResponseError at once, as of other answers that begin with -ERR: the server is alive, and only
# its setting, or whoever holds the connections, can be changed.
# Seen: a ConnectionError, so that the client takes the answer for a lost connection and knocks again: eleven
# times in about four seconds, before the caller hears of it. kombu counts it among the errors that a new
# connection mends, so that a Celery worker says that its broker was lost and goes on trying for ever.
# In a log, a server that is full and one that is away differ by the sentence alone.
#
# Needs: python3 with venv, redis-server on PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'kombu==5.7.0' 'redis==8.1.0' packaging 2>/dev/null
redis-server --port 0 --unixsocket "$work/r.sock" --save '' --maxclients 2 --daemonize no >"$work/log" &
server=$!
for _ in $(seq 100); do [ -S "$work/r.sock" ] && break; sleep 0.1; done

SOCKET="$work/r.sock" "$work/venv/bin/python" - <<'PYTHON'
import os
import sys

import redis
from kombu import Connection, __version__

print(f"redis-py {redis.__version__}, kombu {__version__}")
socket = os.environ["SOCKET"]
held = [redis.Redis(unix_socket_path=socket) for _ in range(2)]
for one in held:
    one.ping()
refused = held[0].info("stats")["rejected_connections"]
try:
    redis.Redis(unix_socket_path=socket).ping()
    sys.exit("a third client was let in")
except redis.RedisError as error:
    answer = error
knocked = held[0].info("stats")["rejected_connections"] - refused
print(f"{type(answer).__name__}: {answer}; asked {knocked} times")
mended = isinstance(answer, Connection(f"redis+socket://{socket}").recoverable_connection_errors)
print(f"a ResponseError: {isinstance(answer, redis.ResponseError)}; kombu tries again: {mended}")
expected = type(answer) is redis.ConnectionError and "max number of clients" in str(answer)
if not (expected and knocked == 11 and mended):
    sys.exit("this has changed")
PYTHON
