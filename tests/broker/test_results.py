"""Results in Redis: over every kind of address, for a while, and the first to go."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import Celery
from support.mqtt_certificates import Certificates
from support.ports import free_port
from support.redis_server import RedisProcess
from support.waiting import LIMIT_S

from esquirell.broker.celery_config import celery_config
from esquirell.broker.connection import Address, connect
from esquirell.broker.queue import COMMANDS, KEY_PREFIX, queue_key
from esquirell.daemon.redis_server import RedisServer

# Celery still calls what redis-py would rather see go.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

EXPIRES = timedelta(minutes=10)
PASSWORD = "p@ss:w/rd#%?"


@pytest.fixture
def app_on() -> Iterator[Callable[[Address], Celery]]:
    apps: list[Celery] = []

    def make(address: Address) -> Celery:
        app = Celery("test", set_as_current=False)
        app.conf.update(celery_config(address, "UTC", EXPIRES))
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def everywhere(tmp_path: Path) -> Iterator[dict[str, Address]]:
    """A Redis behind TCP, TLS and a socket, with a password."""
    certificates, tls_port, socket = Certificates(tmp_path), free_port(), tmp_path / "r.sock"
    options = ["--unixsocket", str(socket), "--tls-port", str(tls_port), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(certificates.server)]
    options += ["--tls-key-file", str(certificates.server_key)]
    options += ["--tls-ca-cert-file", str(certificates.authority)]
    server = RedisProcess(tmp_path, PASSWORD, options)
    server.start()
    authority = {"ssl_ca_certs": str(certificates.authority)}
    yield {
        "tcp": Address(server.url, PASSWORD),
        "tls": Address(f"rediss://127.0.0.1:{tls_port}/0", PASSWORD, authority),
        "socket": Address(f"unix://{socket}?db=0", PASSWORD),
    }
    server.stop()


@pytest.mark.parametrize("way", ["tcp", "tls", "socket"])
def test_messages_and_results_pass(
    everywhere: dict[str, Address], app_on: Callable[[Address], Celery], way: str
) -> None:
    app = app_on(everywhere[way])
    sent = app.send_task("some.task")
    app.backend.store_result(sent.id, {"a": 1}, "SUCCESS")
    assert sent.get(timeout=LIMIT_S) == {"a": 1}
    assert app.AsyncResult(sent.id).state == "SUCCESS"
    client = connect(everywhere[way])
    assert client.llen(queue_key("tasks")) == 1
    (key,) = client.keys("*task-meta*")
    assert str(key).startswith(KEY_PREFIX)
    assert 0 < int(client.ttl(key)) <= EXPIRES.total_seconds()
    shown = app.conf.humanize(with_defaults=True)
    assert not [one for one in (PASSWORD, quote(PASSWORD, safe="")) if one in shown]
    client.close()


def test_a_task_without_a_result_subscribes_to_none(
    server: RedisProcess, app_on: Callable[[Address], Celery]
) -> None:
    """A poll does not wait for what comes of it: that costs a subscription each."""
    app = app_on(Address(server.url))
    poll = app.send_task("some.task", ignore_result=True)
    assert (poll.get(timeout=1), server.client.pubsub_channels()) == (None, [])
    own = app.send_task("some.task")
    assert len(server.client.pubsub_channels()) == 1
    own.forget()
    assert server.client.pubsub_channels() == []


def test_an_own_redis_that_is_full_drops_results_and_keeps_messages(
    tmp_path: Path, app_on: Callable[[Address], Celery]
) -> None:
    server = RedisServer(tmp_path / "redis.sock")
    server.start()
    try:
        address = Address(f"unix://{tmp_path / 'redis.sock'}?db=0")
        app, client = app_on(address), connect(address)
        client.config_set("maxmemory", client.info()["used_memory"] + 3 * 1024 * 1024)
        results, messages = 60, 20
        for number in range(results):
            app.backend.store_result(f"{number}", "x" * 100_000, "SUCCESS")
            if number < messages:
                app.send_task("some.task", queue=COMMANDS, ignore_result=True)
        assert client.llen(queue_key(COMMANDS)) == messages
        left = len(client.keys("*task-meta*"))
        assert 0 < left < results
        assert app.AsyncResult(f"{results - 1}").get(timeout=LIMIT_S) == "x" * 100_000
        client.close()
    finally:
        server.stop()
