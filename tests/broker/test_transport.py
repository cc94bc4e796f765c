"""Messages that were taken and not acknowledged: of retries that wait, and of prefetched tasks."""

import gc
import time
import weakref
from collections.abc import Iterator
from datetime import timedelta
from typing import cast

import pytest
from celery import Celery
from kombu import Connection
from kombu.asynchronous import Hub
from kombu.transport.redis import Channel as RedisChannel
from support.redis_server import RedisProcess
from support.tcp_proxy import TcpProxy
from support.waiting import LIMIT_S

from esquirell.broker.celery_config import VISIBILITY_S, celery_config
from esquirell.broker.connection import Address, connect
from esquirell.broker.queue import KEY_PREFIX, TASKS
from esquirell.broker.transport import STILL_HERE_EVERY_S, WAIT_S, Channel, QoS, collected

INDEX = f"{KEY_PREFIX}unacked_index"


@pytest.fixture
def app(server: RedisProcess) -> Iterator[Celery]:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config(Address(server.url), "UTC", timedelta(hours=1)))
    yield app
    app.close()


def _qos(connection: Connection) -> QoS:
    return cast("QoS", cast("RedisChannel", connection.default_channel).qos)


def registered(qos: QoS) -> bool:
    """Return whether kombu visits a channel when the process ends."""
    return bool(qos._on_collect.still_active())  # noqa: SLF001 - kombu's


def _age(server: RedisProcess) -> None:
    """Let the message that was taken have been taken long ago."""
    tags = [str(tag) for tag in server.client.zrange(INDEX, 0, -1)]
    assert len(tags) == 1
    server.client.zadd(INDEX, {tags[0]: time.time() - VISIBILITY_S - 1})


def test_a_living_worker_keeps_what_it_has(app: Celery, server: RedisProcess) -> None:
    app.send_task("some.task", ignore_result=True)
    with app.connection_for_read() as worker, app.connection_for_read() as other:
        queue = worker.SimpleQueue(TASKS)
        message = queue.get(timeout=LIMIT_S)
        _age(server)
        _qos(worker).still_here()
        _qos(other).restore_visible(interval=1)
        assert server.client.llen(KEY_PREFIX + TASKS) == 0
        message.ack()
        _qos(worker).still_here()
        assert server.client.zcard(INDEX) == 0
        queue.close()


def test_a_connection_takes_no_more_round_trips_than_any_of_ours(
    app: Celery, server: RedisProcess
) -> None:
    with TcpProxy(server.port) as proxy:
        address = Address(f"redis://127.0.0.1:{proxy.port}/0")
        with connect(address) as ours:
            ours.ping()
        few, proxy.asked = proxy.asked, 0
        app.conf.update(celery_config(address, "UTC", timedelta(hours=1)))
        with app.connection_for_read() as worker:
            cast("Channel", worker.default_channel).client.ping()
        # kombu tests each new connection once more.
        assert proxy.asked <= few + 1


def test_messages_of_a_dead_worker_are_delivered_again(app: Celery, server: RedisProcess) -> None:
    app.send_task("some.task", ignore_result=True)
    with app.connection_for_read() as dead, app.connection_for_read() as other:
        queue = dead.SimpleQueue(TASKS)
        queue.get(timeout=LIMIT_S)
        _age(server)
        _qos(other).restore_visible(interval=1)
        assert server.client.llen(KEY_PREFIX + TASKS) == 1
        _qos(dead).restore_at_shutdown = False
        queue.close()


def test_messages_that_expire_before_redelivery_are_not_tracked(
    app: Celery, server: RedisProcess
) -> None:
    with app.connection_for_read() as worker:
        queue = worker.SimpleQueue(TASKS)
        for expires, written in ((VISIBILITY_S / 2, 0), (VISIBILITY_S * 2, 1), (None, 1)):
            app.send_task("some.task", ignore_result=True, expires=expires)
            message = queue.get(timeout=LIMIT_S)
            assert server.client.zcard(INDEX) == written
            message.ack()
            assert server.client.zcard(INDEX) == 0
        queue.close()


def test_messages_not_started_are_returned(app: Celery, server: RedisProcess) -> None:
    with app.connection_for_read() as worker:
        queue = worker.SimpleQueue(TASKS)
        app.send_task("some.task", ignore_result=True, expires=60)
        queue.get(timeout=LIMIT_S).requeue()
        assert server.client.llen(KEY_PREFIX + TASKS) == 1
        queue.get(timeout=LIMIT_S)
        assert server.client.llen(KEY_PREFIX + TASKS) == 0
        cast("RedisChannel", queue.channel).qos.restore_unacked_once()
        assert server.client.llen(KEY_PREFIX + TASKS) == 1
        assert server.client.zcard(INDEX) == 0
        queue.close()


def test_a_message_is_acknowledged_locally_unless_redis_or_a_full_worker_must_know(
    app: Celery,
) -> None:
    with app.connection_for_read() as worker:
        queue = worker.SimpleQueue(TASKS)
        qos = _qos(worker)
        qos.prefetch_count = 4
        app.send_task("some.task", ignore_result=True)
        lasting = queue.get(timeout=LIMIT_S)
        assert not qos.acknowledges_here(str(lasting.delivery_tag))
        lasting.ack()
        taken = []
        for _ in range(3):
            app.send_task("some.task", ignore_result=True, expires=30)
            taken.append(queue.get(timeout=LIMIT_S))
            here = qos.acknowledges_here(str(taken[-1].delivery_tag))
            assert here is (len(taken) <= 2), len(taken)
        for message in taken:
            message.ack()
        queue.close()


def test_messages_are_collected_as_they_would_be_sent(app: Celery, server: RedisProcess) -> None:
    with collected() as messages:
        app.send_task("some.task", ignore_result=True, queue=TASKS)
    assert server.client.llen(KEY_PREFIX + TASKS) == 0
    for key, message in messages:
        server.client.lpush(key, message)
    with app.connection_for_read() as worker:
        queue = worker.SimpleQueue(TASKS)
        assert queue.get(timeout=LIMIT_S).headers["task"] == "some.task"
        queue.close()


def test_it_says_so_often_enough() -> None:
    assert STILL_HERE_EVERY_S * 3 < VISIBILITY_S


def test_a_loop_with_nothing_to_do_is_not_woken_each_second(app: Celery) -> None:
    hub = Hub()
    with app.connection_for_read() as worker:
        for _ in range(2):
            # The second time it has connected anew.
            worker.register_with_event_loop(hub)
        began = time.monotonic()
        waits = [eta - began for eta, _, entry in hub.timer.queue if not entry.cancelled]
    assert waits
    assert min(waits) > WAIT_S - 1
    hub.close()


def test_a_connection_that_is_closed_leaves_nothing_in_the_loop(app: Celery) -> None:
    hub = Hub()
    worker = app.connection_for_read()
    worker.register_with_event_loop(hub)
    watch = weakref.ref(worker.transport)
    assert hub.on_tick
    worker.collect()
    assert not hub.on_tick
    # Celery cancels what is in the timer.
    hub.timer.clear()
    del worker
    gc.collect()
    assert watch() is None
    hub.close()


def test_a_connection_that_was_lost_with_a_message_ends_quietly(
    app: Celery, server: RedisProcess
) -> None:
    """kombu would return the message over the connection that is gone, which ended a worker."""
    app.send_task("some.task", ignore_result=True)
    lost = app.connection_for_read()
    queue = lost.SimpleQueue(TASKS)
    queue.get(timeout=LIMIT_S)
    server.kill()
    channel = cast("RedisChannel", lost.default_channel)
    # What a worker's consumer has done by then: its pools and its connection are gone.
    channel._disconnect_pools()  # type: ignore[attr-defined]  # noqa: SLF001 - no types; kombu itself
    channel.connection.client = None
    _qos(lost).restore_unacked_once()
    assert not registered(_qos(lost))


def test_a_channel_that_was_closed_is_not_visited_when_the_process_ends(
    app: Celery, server: RedisProcess
) -> None:
    """kombu registers each for that: those of lost connections were held until then."""
    lost = app.connection_for_read()
    lost.SimpleQueue(TASKS)
    qos = _qos(lost)
    assert registered(qos)
    channel = cast("RedisChannel", lost.default_channel)
    server.kill()
    channel.connection.client = None
    channel.connection = None  # type: ignore[assignment] # as kombu leaves it
    qos.restore_unacked_once()
    assert not registered(qos)
