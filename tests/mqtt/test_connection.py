import logging
import os
import resource
import socket
import threading
import time
from pathlib import Path
from typing import Literal

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import connected, repeatedly, running
from support.tcp_proxy import TcpProxy
from support.waiting import eventually

from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options, Will
from esquirell.mqtt.traffic import IDLE_WAIT_S

Protocol = Literal["5", "3.1.1"]

both = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@both
def test_messages_go_out_and_states_stay(broker: Mosquitto, protocol: Protocol) -> None:
    with Observer(broker.port, "t/#") as observer:
        with connected(Options("127.0.0.1", broker.port, protocol=protocol)) as connection:
            connection.retain("t/state", {"name": "Küche", "power": None})
            connection.publish("t/event", {"type": "x"})
            seen = observer.saw(lambda seen: seen.topic == "t/event")
            assert seen.json == {"type": "x"}
        assert retained(broker.port, "t/#") == {"t/state": '{"name":"Küche","power":null}'.encode()}


def test_answers_are_not_retained(broker: Mosquitto) -> None:
    with Observer(broker.port, "t/#") as observer:
        with connected(Options("127.0.0.1", broker.port)) as connection:
            connection.answer("t/answer", {"status": "ok"}, b"42")
            assert observer.saw(lambda seen: seen.topic == "t/answer").correlation == b"42"
        assert retained(broker.port, "t/#") == {}


def test_a_batch_is_published_at_its_end(broker: Mosquitto) -> None:
    options = Options("127.0.0.1", broker.port)
    with Observer(broker.port, "t/#") as observer, connected(options) as connection:
        with connection.together():
            connection.retain("t/1", {"n": 1})
            with connection.together():
                connection.retain("t/2", {"n": 2})
        assert observer.saw(lambda seen: seen.topic == "t/2").json == {"n": 2}
        assert [seen.topic for seen in observer.of("t/1")] == ["t/1"]


def test_what_a_slow_line_does_not_take_at_once_follows(broker: Mosquitto) -> None:
    """The kernel's buffers take a few megabytes: the rest waits until there is room."""
    with (
        Observer(broker.port, "t/#") as observer,
        TcpProxy(broker.port) as line,
        connected(Options("127.0.0.1", line.port)) as connection,
    ):
        line.hold()
        for number in range(20):
            connection.publish(f"t/{number}", {"text": "x" * 900_000})
        eventually(lambda: connection.idle, what="all is handed to the line")
        eventually(lambda: connection.report()["unconfirmed"] == 20)
        assert not observer.of("t/19")
        line.flow()
        observer.saw(lambda seen: seen.topic == "t/19")
        eventually(lambda: connection.report()["unconfirmed"] == 0)


def test_a_name_that_takes_longer_to_look_up_than_the_keepalive_is_connected_to(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = socket.getaddrinfo

    def slow(host: str, *rest: object, **options: object) -> object:
        if host == "broker.lan":
            # paho compares with the clock.
            time.sleep(1.1)
            host = "127.0.0.1"
        return usual(host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    options = Options("broker.lan", broker.port, keepalive=1)
    link = Link(options, None, lambda _: None)
    link.open()
    try:
        while link.up and not link.accepted:
            link.run_once(1.0)
        assert link.accepted, link.failure
    finally:
        link.close(done=True)


def test_without_a_connection_that_is_the_problem() -> None:
    connection = Connection(Options("broker.lan", 1883))
    assert connection.problems == [
        "there is no connection to the MQTT broker at broker.lan:1883 yet"
    ]
    assert connection.report() == {"connected": False, "unconfirmed": 0, "last_confirmed": None}


def test_what_the_broker_does_not_allow_is_a_problem(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite t/allowed\n")
    broker = Mosquitto(tmp_path, ["allow_anonymous true", f"acl_file {acl}"])
    broker.start()
    try:
        with connected(Options("127.0.0.1", broker.port)) as connection:
            connection.publish("t/allowed", {})
            eventually(lambda: connection.report()["last_confirmed"])
            assert connection.problems == []
            connection.publish("t/closed", {})
            (said,) = eventually(lambda: connection.problems)
    finally:
        broker.kill()
    where = f"the MQTT broker at 127.0.0.1:{broker.port}"
    assert said == f"{where} does not let us publish t/closed: check its access rights and limits"


def test_nan_is_refused() -> None:
    connection = Connection(Options())
    with pytest.raises(ValueError, match="not JSON compliant"):
        connection.retain("t", {"value": float("nan")})


@both
def test_messages_before_the_connection_are_published_afterwards(
    broker: Mosquitto, protocol: Protocol
) -> None:
    broker.stop()
    with running(Options("127.0.0.1", broker.port, protocol=protocol)) as connection:
        connection.retain("t/state", {"n": 1})
        connection.publish("t/event", {"n": 2})
        broker.start()
        with Observer(broker.port, "t/#") as observer:
            observer.saw(lambda seen: seen.json == {"n": 1})


@both
def test_a_broker_that_lost_everything_gets_all_states_again(
    broker: Mosquitto, protocol: Protocol
) -> None:
    with connected(Options("127.0.0.1", broker.port, protocol=protocol)) as connection:
        for number in range(30):
            connection.retain(f"t/{number}", {"n": number})
        eventually(lambda: len(retained(broker.port, "t/#")) == 30)
        broker.restart()
        eventually(lambda: len(retained(broker.port, "t/#")) == 30)


def test_nothing_piles_up_while_the_broker_is_away(broker: Mosquitto) -> None:
    with connected(Options("127.0.0.1", broker.port)) as connection:
        broker.stop()
        eventually(lambda: not connection.connected)
        for number in range(500):
            connection.retain("t/state", {"n": number})
            connection.publish("t/event", {"n": number})
        broker.start()
        with Observer(broker.port, "t/#") as observer:
            eventually(lambda: connection.connected)
            connection.publish("t/end", {})
            observer.saw(lambda seen: seen.topic == "t/end")
            assert [seen.json["n"] for seen in observer.of("t/state")] == [499]
            assert len(observer.of("t/event")) <= 100


def test_an_old_state_never_follows_a_newer_one(broker: Mosquitto) -> None:
    """What a frozen broker did not confirm must not be sent again after what is newer."""
    with connected(Options("127.0.0.1", broker.port, keepalive=1)) as connection:
        broker.freeze()
        connection.retain("t/state", {"n": "old"})
        eventually(lambda: not connection.connected)
        connection.retain("t/state", {"n": "new"})
        broker.thaw()
        broker.restart()
        with Observer(broker.port, "t/#") as observer:
            eventually(lambda: connection.connected)
            connection.publish("t/end", {})
            observer.saw(lambda seen: seen.topic == "t/end")
            assert [seen.json["n"] for seen in observer.of("t/state")] == ["new"]


def test_an_unchanged_state_is_not_sent_again(broker: Mosquitto) -> None:
    with (
        Observer(broker.port, "t/#") as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        for _ in range(3):
            connection.retain("t/state", {"n": 1})
        connection.publish("t/end", {})
        observer.saw(lambda seen: seen.topic == "t/end")
        assert len(observer.of("t/state")) == 1
        connection.renew()
        eventually(lambda: len(observer.of("t/state")) == 2)


def test_a_cleared_topic_is_gone(broker: Mosquitto) -> None:
    with connected(Options("127.0.0.1", broker.port)) as connection:
        connection.retain("t/state", {"n": 1})
        eventually(lambda: retained(broker.port, "t/#"))
        connection.retain("t/state", None)
        eventually(lambda: not retained(broker.port, "t/#"))


def test_many_threads_may_publish(broker: Mosquitto) -> None:
    def work(number: int) -> None:
        for turn in range(50):
            connection.retain(f"t/{number}/{turn}", {"text": "x" * 5000})

    with connected(Options("127.0.0.1", broker.port)) as connection:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: len(retained(broker.port, "t/#")) == 400)
        assert connection.connected


@both
def test_subscriptions_outlive_the_broker(broker: Mosquitto, protocol: Protocol) -> None:
    received: list[Message] = []
    options = Options("127.0.0.1", broker.port, protocol=protocol)
    with connected(options) as connection:
        connection.subscribe("in/+/x", received.append)
        broker.restart()
        eventually(lambda: connection.connected)
        with Observer(broker.port) as observer:
            repeatedly(lambda: observer.publish("in/1/x", b"{}"), lambda: received)
    first = received[0]
    assert (first.topic, first.payload, first.retained) == ("in/1/x", b"{}", False)


def _receive_and_go(options: Options, observer: Observer, payload: bytes) -> list[bytes]:
    """Connect, return what came until `payload` came, and disconnect."""
    received: list[bytes] = []
    connection = Connection(options)
    connection.subscribe("in/#", lambda message: received.append(message.payload))
    connection.start()
    repeatedly(lambda: observer.publish("in/x", payload), lambda: payload in received)
    connection.stop(5)
    return received


@both
def test_the_broker_keeps_messages_for_a_session(broker: Mosquitto, protocol: Protocol) -> None:
    options = Options(
        "127.0.0.1", broker.port, protocol=protocol, client_id="me", session_expiry=600
    )
    with Observer(broker.port, "in/#") as observer:
        _receive_and_go(options, observer, b"1")
        observer.publish("in/x", b"2")
        received = _receive_and_go(options, observer, b"3")
    # The first one may have been sent once more before it was seen.
    assert next(payload for payload in received if payload != b"1") == b"2"


@both
def test_unhandled_messages_are_delivered_again(broker: Mosquitto, protocol: Protocol) -> None:
    options = Options(
        "127.0.0.1", broker.port, protocol=protocol, client_id="me", session_expiry=600
    )
    received: list[Message] = []
    with Observer(broker.port, "in/#") as observer:
        connection = Connection(options)
        connection.subscribe("in/#", received.append, keeps=True)
        connection.start()
        repeatedly(lambda: observer.publish("in/x", b"1"), lambda: received)
        connection.stop(5)
    received.clear()
    connection = Connection(options)
    connection.subscribe("in/#", received.append, keeps=True)
    connection.start()
    eventually(lambda: received)
    connection.stop(5)


@both
def test_a_broker_with_persistence_keeps_a_session_over_its_restart(
    tmp_path: Path, protocol: Protocol
) -> None:
    settings = ("allow_anonymous true", "persistence true", f"persistence_location {tmp_path}/")
    broker = Mosquitto(tmp_path, settings)
    broker.start()
    options = Options(
        "127.0.0.1", broker.port, protocol=protocol, client_id="me", session_expiry=600
    )
    with Observer(broker.port, "in/#") as observer:
        _receive_and_go(options, observer, b"1")
        observer.publish("in/x", b"2")
    broker.restart()
    with Observer(broker.port, "in/#") as observer:
        received = _receive_and_go(options, observer, b"3")
    # The first one may have been sent once more before it was seen.
    assert next(payload for payload in received if payload != b"1") == b"2"
    broker.kill()


@both
def test_without_a_session_no_old_messages_arrive(broker: Mosquitto, protocol: Protocol) -> None:
    options = Options("127.0.0.1", broker.port, protocol=protocol, client_id="me")
    with Observer(broker.port, "in/#") as observer:
        _receive_and_go(options, observer, b"1")
        observer.publish("in/x", b"2")
        assert b"2" not in _receive_and_go(options, observer, b"3")


def test_a_handler_that_fails_ends_nothing(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    received: list[Message] = []

    def fail(message: Message) -> None:
        received.append(message)
        raise ZeroDivisionError

    with (
        Observer(broker.port, "in/#") as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        connection.subscribe("in/#", fail)
        repeatedly(lambda: observer.publish("in/1", b""), lambda: len(received) > 1)
        assert connection.connected
    assert "a message on in/1 could not be handled" in caplog.text


def test_hooks_run_after_each_connect(broker: Mosquitto) -> None:
    calls: list[int] = []
    connection = Connection(Options("127.0.0.1", broker.port))
    connection.on_connect(lambda: calls.append(1))
    connection.start()
    eventually(lambda: len(calls) == 1)
    broker.restart()
    eventually(lambda: len(calls) == 2)
    connection.stop(5)


@both
def test_stopping_leaves_the_state_of_the_will(broker: Mosquitto, protocol: Protocol) -> None:
    will = Will("t/state", {"state": "offline"})
    with connected(Options("127.0.0.1", broker.port, protocol=protocol), will) as connection:
        connection.retain("t/state", {"state": "online"})
        for number in range(100):
            connection.retain(f"t/{number}", {"text": "x" * 10_000})
    found = retained(broker.port, "t/#")
    assert len(found) == 101
    assert found["t/state"] == b'{"state":"offline"}'
    assert not connection.alive()


def test_stopping_does_not_wait_for_a_broker_that_is_away(broker: Mosquitto) -> None:
    broker.stop()
    with running(Options("127.0.0.1", broker.port), Will("t", {})) as connection:
        eventually(lambda: connection.age() < 1)
    assert not connection.alive()


def test_a_connection_that_never_started_can_be_stopped() -> None:
    connection = Connection(Options(), Will("t", {}))
    connection.stop(5)
    assert not connection.alive()


def test_stopping_is_bounded_by_time(broker: Mosquitto) -> None:
    connection = Connection(Options("127.0.0.1", broker.port), Will("t", {"state": "offline"}))
    connection.start()
    eventually(lambda: connection.connected)
    broker.freeze()
    connection.stop(0.5)
    eventually(lambda: not connection.alive())
    broker.thaw()
    eventually(lambda: retained(broker.port) == {"t": b'{"state":"offline"}'})


def test_the_age_shows_that_the_thread_is_alive(broker: Mosquitto) -> None:
    with connected(Options("127.0.0.1", broker.port)) as connection:
        eventually(lambda: connection.age() > IDLE_WAIT_S / 10)
        eventually(lambda: connection.age() < 0.2)
        assert connection.alive()


def test_a_connection_is_announced_once(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "esquirell.mqtt")
    with connected(Options("127.0.0.1", broker.port, username="u", password="s3cret")):
        pass
    assert caplog.messages == [f"connected to the MQTT broker at 127.0.0.1:{broker.port}"]


def test_the_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(Options(password="s3cret"))


# What `select` can wait for, and what a process may open unless it asks for more.
OLD_LIMIT = 1024


def test_it_connects_where_more_than_a_thousand_files_are_open(broker: Mosquitto) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft if soft > 2 * OLD_LIMIT else min(hard, 3 * OLD_LIMIT)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    null = os.open(os.devnull, os.O_RDONLY)
    meters = [os.dup(null) for _ in range(OLD_LIMIT)]
    try:
        with connected(Options("127.0.0.1", broker.port)):
            pass
    finally:
        for file in (null, *meters):
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
