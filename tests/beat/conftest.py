from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import Celery
from support.beat_bench import Bench, Record
from support.redis_server import RedisProcess

from esquirell.broker.celery_config import celery_config
from esquirell.broker.connection import Address, connect
from esquirell.domain.schedule import Schedule


@pytest.fixture
def app(server: RedisProcess) -> Iterator[Celery]:
    celery = Celery("test", set_as_current=False)
    celery.conf.update(celery_config(Address(server.url), "UTC", timedelta(hours=1)))
    celery.conf.broker_transport_options |= {"socket_timeout": 2, "socket_connect_timeout": 2}
    celery.conf.task_publish_retry = False
    celery.redbeat_redis = connect(Address(server.url))  # type: ignore[attr-defined] # as RedBeat keeps it
    yield celery
    celery.redbeat_redis.close()  # type: ignore[attr-defined] # the same
    celery.close()


@pytest.fixture
def record() -> Record:
    # Not a poll: of those only the last one waits, and these tests count what was sent.
    return Record(Schedule(name="fetch", every=1, task="rollup"))


@pytest.fixture
def bench(app: Celery, server: RedisProcess, record: Record) -> Iterator[Bench]:
    bench = Bench(app, server, record)
    yield bench
    bench.scheduler.close()
