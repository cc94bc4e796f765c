import re
from collections.abc import Callable

from support.redis_server import RedisProcess
from support.service import Service

from esquirell.broker.transport import WAIT_S


def test_a_worker_waits_some_seconds_for_messages(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    with server.client.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py's
        start(config)
        waits = (
            told["command"]
            for told in monitor.listen()
            if re.match("BRPOP.*polls", told["command"])
        )
        assert {next(waits).split()[-1] for _ in range(3)} == {str(WAIT_S)}
