import re
from collections.abc import Callable
from contextlib import closing

import redis
from support.redis_server import RedisProcess
from support.service import Service
from support.waiting import LIMIT_S

from esquirell.broker.transport import WAIT_S


def test_a_worker_waits_some_seconds_for_messages(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    patient = redis.Redis.from_url(server.url, decode_responses=True, socket_timeout=LIMIT_S)
    with closing(patient), patient.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py's
        start(config)
        waits = (
            told["command"]
            for told in monitor.listen()
            if re.match("BRPOP.*polls", told["command"])
        )
        assert {next(waits).split()[-1] for _ in range(3)} == {str(WAIT_S)}
