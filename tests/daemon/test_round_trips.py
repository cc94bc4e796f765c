"""What a poll asks of Redis, counted: with a meter every second most of what it costs is fixed."""

from collections.abc import Callable
from typing import Any

from support.redis_server import RedisProcess
from support.service import PLAIN, Service
from support.waiting import eventually

POLLS = 5
# Keys that only what schedules and sends tasks uses, and what a worker looks for every ten seconds.
OF_TASKS = ("redbeat", "schedules:runs", "celery:polls", "celery:tasks", "celery:unacked")
RESTORING = ("unacked_mutex", "ZRANGE")


def test_a_poll_asks_redis_twice(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    service = start(config, program=PLAIN)
    eventually(lambda: service.readings("main") > 1, what=lambda: service.log)
    sent, asked = 0, []
    with server.client.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py lacks it
        while sent <= POLLS:
            found: dict[str, Any] = monitor.next_command()
            command = str(found["command"])
            sent += found["client_type"] == "lua" and command.lower().startswith("lpush")
            if found["client_type"] != "lua" and _is_of_tasks(command) and 0 < sent <= POLLS:
                asked.append(command.split(maxsplit=1)[0])
    others = [name for name in asked if name not in ("EVAL", "BRPOP")]
    assert others == []
    # A schedule that is derived again takes two more, and waiting for a message ends now and then.
    assert asked.count("EVAL") <= POLLS + 4
    assert asked.count("BRPOP") <= 2 * POLLS


def _is_of_tasks(command: str) -> bool:
    is_other = any(one in command for one in RESTORING)
    return any(one in command for one in OF_TASKS) and not is_other
