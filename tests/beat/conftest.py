from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, connect


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def app(server: RedisProcess) -> Iterator[Celery]:
    celery = Celery("test", broker=server.url, set_as_current=False)
    celery.conf.update(
        redbeat_redis_url=server.url,
        redbeat_redis_options={},
        redbeat_lock_key=None,
        broker_transport_options={"socket_timeout": 2, "socket_connect_timeout": 2},
        task_publish_retry=False,
    )
    celery.redbeat_redis = connect(Address(server.url))  # type: ignore[attr-defined] # as RedBeat keeps it
    yield celery
    celery.redbeat_redis.close()  # type: ignore[attr-defined] # the same
    celery.close()
