"""Brokers with limits, without manners, and with other clients of our name."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import connected, repeatedly, running
from support.scripted_broker import ScriptedBroker
from support.waiting import eventually

from esquirell.mqtt.bridge import will_of
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import CONFIRM_LIMIT_S, Link, Message
from esquirell.mqtt.options import Options, Timeouts
from esquirell.mqtt.outbox import FORGET_AFTER_S, Outgoing, PacketLimit, encode
from esquirell.mqtt.topics import Topics

TOPICS = Topics()
BIG = {"text": "x" * 20_000}


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as one:
        yield one


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def bridge_options(port: int, **fields: Any) -> Options:  # noqa: ANN401 - options of any kind
    return Options("127.0.0.1", port, client_id="esquirell-bridge", session_expiry=600, **fields)


def bridge(options: Options, topics: Topics = TOPICS) -> Connection:
    return Connection(options, will_of(topics), Claim(topics))


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that takes no large packets."""
    server = Mosquitto(tmp_path, ["allow_anonymous true", "max_packet_size 4000"])
    server.start()
    yield server
    server.kill()


def test_messages_above_the_announced_limit_are_left_out(
    strict: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    server = strict
    with (
        Observer(server.port, "t/#") as observer,
        connected(Options("127.0.0.1", server.port)) as connection,
    ):
        connection.retain("t/big", BIG)
        connection.retain("t/small", {"n": 1})
        connection.answer("t/answer", BIG, b"", {"error": "too large"})
        observer.saw(lambda seen: seen.topic == "t/small")
        answer = observer.saw(lambda seen: seen.topic == "t/answer")
        assert answer.json == {"error": "too large"}
        connection.retain("t/big", BIG | {"n": 2})
        eventually(lambda: connection.idle)
        assert connection.report()["too_large"] == ["t/big"]
        connection.retain("t/big", {"n": 3})
        eventually(lambda: "t/big" in retained(server.port, "t/#"))
        assert "too_large" not in connection.report()
        assert connection.connected
    (warning,) = [one for one in warnings(caplog) if "t/big" in one]
    assert warning == (
        f"t/big is not published: it has {len('t/big') + len(encode(BIG)) + 14} bytes, but the "
        f"MQTT broker at 127.0.0.1:{server.port} takes 4000 at most: raise its limit "
        "(max_packet_size in mosquitto)"
    )


def test_a_limit_that_is_only_enforced_is_found_out(
    broker: ScriptedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.largest = 10_000
    waits = Timeouts(shortest_s=0.05, longest_s=0.05)
    options = Options("127.0.0.1", broker.port, protocol="3.1.1", waits=waits)
    with running(options) as connection:
        connection.retain("t/fits", {"text": "x" * 5000})
        connection.retain("t/big", BIG)
        connection.retain("t/small", {"n": 1})
        eventually(lambda: connection.report().get("too_large") == ["t/big"])
        connection.retain("t/later", {"n": 2})
        broker.saw("t/later")
        broker.saw("t/small")
        broker.saw("t/fits")
        assert connection.connected
    assert not [one for one in broker.came if one.topic == "t/big"]
    assert [one for one in warnings(caplog) if one.startswith("t/big is not published")]


def test_a_cut_without_anything_large_under_way_limits_nothing() -> None:
    limit = PacketLimit()
    for _ in range(9):
        limit.opened(None)
        limit.cut([300])
        limit.cut([])
    assert limit.allows(10**9)


def test_a_limit_that_was_found_out_is_tried_again_in_the_end() -> None:
    now = [0.0]
    limit = PacketLimit(lambda: now[0])
    for _ in range(3):
        limit.opened(None)
        limit.cut([20_000])
    assert not limit.allows(20_000)
    assert limit.allows(19_999)
    now[0] = FORGET_AFTER_S + 1
    assert limit.allows(20_000)


def test_of_several_under_way_the_large_one_is_sent_alone_next_time() -> None:
    limit = PacketLimit()
    limit.opened(None)
    limit.cut([300, 20_000])
    limit.opened(None)
    assert limit.wants_alone(20_000)
    assert not limit.wants_alone(300)
    limit.confirmed(20_000)
    assert not limit.wants_alone(20_000)


@pytest.mark.parametrize("numbers_anew", [True, False])
def test_a_redelivery_without_a_mark_is_handled_once(
    broker: ScriptedBroker, numbers_anew: bool
) -> None:
    taken: list[Message] = []
    connection = Connection(bridge_options(broker.port))
    connection.subscribe("in/#", taken.append, keeps=True)
    connection.start()
    client = broker.client("esquirell-bridge")
    eventually(lambda: client.filters)
    for number in range(1, 61):
        client.publish("in/press", b"{}", number)
    eventually(lambda: len(taken) == 60)
    for message in taken[:30]:
        connection.acknowledge(message)
    eventually(lambda: len(client.acknowledged) == 30)
    broker.cut(client)
    again = broker.client("esquirell-bridge", after=1)
    eventually(lambda: again.filters)
    # The last ten acknowledgements were lost on the way.
    for count, number in enumerate(range(21, 61)):
        again.publish("in/press", b"{}", count + 1 if numbers_anew else number)
    again.publish("in/press", b'{"new": true}', 100)
    eventually(lambda: taken[-1].payload == b'{"new": true}')
    assert len(taken) == 61
    for message in taken[30:]:
        connection.acknowledge(message)
    eventually(lambda: len(again.acknowledged) == 41)
    connection.stop(5)


def test_without_a_session_nothing_is_taken_for_a_repetition(broker: ScriptedBroker) -> None:
    broker.resumes = False
    taken: list[Message] = []
    connection = Connection(bridge_options(broker.port))
    connection.subscribe("in/#", taken.append)
    connection.start()

    def press(count: int) -> None:
        client = broker.client("esquirell-bridge", after=count)
        eventually(lambda: client.filters)
        client.publish("in/press", b"{}", 1)
        eventually(lambda: client.acknowledged)
        broker.cut(client)

    press(0)
    press(1)
    connection.stop(5)
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("how", "levels"), [("refused_levels", [5, 4]), ("silent_levels", [5, 4, 5, 4])]
)
def test_a_broker_of_3_1_1_only_is_spoken_to_so(
    broker: ScriptedBroker, how: str, levels: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """One that says nothing may be slow: it is asked again once it answers anything at all."""
    setattr(broker, how, {5})
    with running(Options("127.0.0.1", broker.port, waits=Timeouts(answer_s=0.2))) as connection:
        eventually(lambda: connection.connected)
        connection.retain("t/state", {"n": 1})
        broker.saw("t/state")
        assert connection.trouble == ""
    assert [one.level for one in broker.connects] == levels
    (said,) = warnings(caplog)
    assert said == (
        f"the MQTT broker at 127.0.0.1:{broker.port} does not speak MQTT 5, so MQTT 3.1.1 is "
        'used: set protocol = "3.1.1" in [mqtt]'
    )


class Once(set[int]):
    """Holds each number until it was asked for it."""

    def __contains__(self, number: object) -> bool:
        found = super().__contains__(number)
        self.discard(int(str(number)))
        return found


def test_a_broker_that_was_slow_once_is_not_taken_for_an_old_one(
    broker: ScriptedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.silent_levels = Once({5})
    with running(Options("127.0.0.1", broker.port, waits=Timeouts(answer_s=0.5))) as connection:
        eventually(lambda: connection.connected)
        assert [one.level for one in broker.connects] == [5, 4, 5]
    assert "MQTT 3.1.1 is used" not in caplog.text


def test_a_server_that_answers_in_no_protocol_is_named(broker: ScriptedBroker) -> None:
    broker.silent_levels = {4, 5}
    with running(Options("127.0.0.1", broker.port, waits=Timeouts(answer_s=0.2))) as connection:
        said = eventually(lambda: connection.trouble)
    assert 'set protocol = "3.1.1" if it does not speak MQTT 5, or check port and tls' in said


def up(link: Link) -> bool:
    return link.up


def test_a_broker_that_confirms_nothing_is_left_and_named(broker: ScriptedBroker) -> None:
    broker.confirms = False
    now = [0.0]
    link = Link(Options("127.0.0.1", broker.port), None, lambda _: None, clock=lambda: now[0])
    link.open()
    while not link.accepted:
        link.run_once(0.1)
    link.send(Outgoing("t/state", b"{}", retained=True))
    broker.saw("t/state")
    now[0] = CONFIRM_LIMIT_S - 1
    link.run_once(0)
    assert up(link)
    now[0] = CONFIRM_LIMIT_S + 1
    link.run_once(0)
    assert not up(link)
    assert "has not confirmed a message for a minute" in link.failure.sentence
    assert [one.topic for one in link.unconfirmed] == ["t/state"]
    link.close(done=False)


def test_a_subscription_that_is_never_answered_is_named_and_ends_nothing(
    broker: ScriptedBroker,
) -> None:
    broker.subscribes = False
    with connected(Options("127.0.0.1", broker.port)) as connection:
        connection.confirmed_within_s = 0.5
        connection.subscribe("t/#", lambda _: None)
        said = eventually(lambda: [one for one in connection.problems if "subscription" in one])
        assert "commands may not be heard" in said[0]
        connection.retain("t/state", {"n": 1})
        broker.saw("t/state")
    assert len(broker.connects) == 1


def test_confirmations_are_reported(broker: ScriptedBroker) -> None:
    with connected(Options("127.0.0.1", broker.port)) as connection:
        connection.retain("t/state", {"n": 1})
        report = eventually(lambda: (now := connection.report())["last_confirmed"] and now)
        assert report["connected"]
        assert datetime.now(UTC) - datetime.fromisoformat(report["last_confirmed"]) < timedelta(
            seconds=60
        )
        broker.confirms = False
        connection.retain("t/state", {"n": 2})
        eventually(lambda: connection.report()["unconfirmed"] == 1)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_second_of_two_bridges_stands_by_and_takes_over(
    mosquitto: Mosquitto,
    protocol: Any,  # noqa: ANN401 - a literal
    caplog: pytest.LogCaptureFixture,
) -> None:
    waits = Timeouts(standby_s=0.5)
    options = bridge_options(mosquitto.port, protocol=protocol, waits=waits)
    first, second = bridge(options), bridge(options)
    with Observer(mosquitto.port, "t/#", TOPICS.bridge_state) as observer:
        first.start()
        eventually(lambda: first.connected)
        first.retain(TOPICS.bridge_state, {"state": "online"})
        second.retain("t/second", {"n": 2})
        second.start()
        said = eventually(lambda: second.trouble)
        assert "serves base_topic 'esquirell'" in said
        assert "this one stands by" in said
        time.sleep(1.5)
        assert [first.connected, second.connected] == [True, False]
        assert not [seen for seen in observer.of(TOPICS.bridge_state) if b"offline" in seen.payload]
        first.stop(5)
        observer.saw(lambda seen: seen.topic == "t/second")
        assert [second.connected, second.trouble] == [True, ""]
        second.stop(5)
    told = warnings(caplog)
    assert len([one for one in told if "has the same base_topic" in one]) == 1
    assert len([one for one in told if "this one stands by" in one]) == 1


def test_a_bridge_of_another_base_topic_is_no_reason_to_wait(mosquitto: Mosquitto) -> None:
    ours, theirs = Topics("esquirell"), Topics("cellar")
    first = bridge(bridge_options(mosquitto.port), ours)
    second = Connection(
        Options("127.0.0.1", mosquitto.port, client_id="cellar-bridge", session_expiry=600),
        will_of(theirs),
        Claim(theirs),
    )
    for one in (first, second):
        one.start()
    eventually(lambda: first.connected and second.connected)
    for one in (first, second):
        one.stop(5)


def test_a_bridge_whose_predecessor_was_killed_does_not_wait(mosquitto: Mosquitto) -> None:
    """As after a power cut of a machine with its broker: online is retained, and no bridge runs."""
    with Observer(mosquitto.port) as observer:
        observer.publish(TOPICS.bridge_state, b'{"state":"online"}', retain=True)
    began = time.monotonic()
    connection = bridge(bridge_options(mosquitto.port))
    connection.start()
    eventually(lambda: connection.connected)
    assert time.monotonic() - began < 10
    connection.stop(5)


def health_from(moment: datetime) -> bytes:
    return encode({"at": moment.isoformat()})


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("away", "runs"),
    [
        (timedelta(seconds=500), True),
        (timedelta(seconds=653), False),
        (timedelta(days=-300), False),
        (None, False),
    ],
)
def test_commands_of_long_ago_are_not_run(
    mosquitto: Mosquitto,
    protocol: Any,  # noqa: ANN401 - a literal
    away: timedelta | None,
    runs: bool,
) -> None:
    """The broker keeps the session for ever here: it was not told when it was last connected."""
    options = bridge_options(mosquitto.port, protocol=protocol)
    before = Connection(options)
    before.subscribe("in/#", lambda _: None)
    before.start()
    eventually(lambda: before.connected)
    before.stop(5)
    with Observer(mosquitto.port, "in/#") as observer:
        observer.publish("in/old", b"{}")
        if away is not None:
            health = health_from(datetime.now(UTC) - away)
            observer.publish(TOPICS.bridge_health, health, retain=True)
    taken: list[str] = []
    after = bridge(options)
    after.subscribe("in/#", lambda message: taken.append(message.topic))
    after.start()
    eventually(lambda: after.connected)
    with Observer(mosquitto.port, "in/#") as observer:
        repeatedly(lambda: observer.publish("in/new", b"{}"), lambda: "in/new" in taken)
    after.stop(5)
    assert ("in/old" in taken) == runs
    assert taken[:1] == (["in/old"] if runs else ["in/new"])
