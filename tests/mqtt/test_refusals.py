"""What goes wrong between us and a broker: one sentence each, and never the end."""

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from support.mosquitto import Mosquitto, broker_with, set_password
from support.mqtt_certificates import Certificates
from support.mqtt_observer import Observer
from support.mqtt_parts import connected, running
from support.ports import free_port
from support.scripted_broker import ScriptedBroker
from support.waiting import eventually

from esquirell.domain.errors import ConfigError
from esquirell.mqtt import reasons
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Link
from esquirell.mqtt.options import Options

# paho leaves a socket whose TLS handshake failed to the garbage collector.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@contextmanager
def server_that_says(answer: bytes) -> Iterator[int]:
    """Accept connections, read a little, answer, and hang up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                line.recv(1000)
                line.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def first_complaint(options: Options, caplog: pytest.LogCaptureFixture) -> str:
    with running(options):
        return eventually(lambda: complaints(caplog))[0]


def test_a_wrong_password_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    set_password(passwords, "meter", "right")
    settings = ["allow_anonymous false", f"password_file {passwords}"]
    broker = Mosquitto(tmp_path, settings)
    broker.start()
    wrong = Options("127.0.0.1", broker.port, username="meter", password="s3cret-wrong")
    with running(wrong) as connection:
        eventually(lambda: broker.log.count("not authorised") >= 2)
        assert not connection.connected
        assert "refuses the user name" in connection.trouble
        set_password(passwords, "meter", "s3cret-wrong")
        broker.restart()
        eventually(lambda: connection.connected)
        assert not connection.trouble
    broker.stop()
    (refusal,) = [text for text in complaints(caplog) if "refuses" in text]
    assert refusal == (
        f"the MQTT broker at 127.0.0.1:{broker.port} refuses the user name or the password: "
        "check username and password in [mqtt]; trying again until it works"
    )
    assert "s3cret" not in caplog.text


def test_a_password_that_was_changed_is_read_again(tmp_path: Path) -> None:
    passwords, known = tmp_path / "passwords", ["old"]
    set_password(passwords, "meter", "old")
    settings = ["allow_anonymous false", f"password_file {passwords}"]
    broker = Mosquitto(tmp_path, settings)
    broker.start()
    options = Options("127.0.0.1", broker.port, username="meter", password="old")
    connection = Connection(options, password=lambda: known[0])
    connection.start()
    eventually(lambda: connection.connected)
    set_password(passwords, "meter", "new")
    broker.restart()
    eventually(lambda: "refuses the user name" in connection.trouble)
    known[0] = "new"
    eventually(lambda: connection.connected)
    connection.stop(5)
    broker.stop()


def test_a_broker_without_mqtt_5_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with server_that_says(b"\x20\x02\x00\x01") as port:
        said = first_complaint(Options("127.0.0.1", port), caplog)
    assert 'does not speak MQTT 5: set protocol = "3.1.1" in [mqtt]' in said


def test_a_broker_that_hangs_up_may_want_another_protocol(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with server_that_says(b"") as port:
        said = first_complaint(Options("127.0.0.1", port), caplog)
    assert 'hung up without an answer: in [mqtt], set protocol = "3.1.1"' in said
    assert "set tls = true" in said


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR\r\n", b"\x20\x7f"])
def test_another_server_is_no_broker(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with server_that_says(answer) as port:
        said = first_complaint(Options("127.0.0.1", port), caplog)
    assert "hung up without an answer" in said
    assert "Traceback" not in caplog.text


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        options, now = Options("127.0.0.1", server.getsockname()[1]), [0.0]
        link = Link(options, None, print, clock=lambda: now[0])
        link.open()
        link.run_once(0)
        assert not link.failure.sentence
        now[0] += options.waits.answer_s + 1
        link.run_once(0)
        assert not link.up
        assert "does not answer in MQTT" in link.failure.sentence
        link.close(done=False)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "a..b", ""])
def test_a_name_without_address_is_named(host: str, caplog: pytest.LogCaptureFixture) -> None:
    said = first_complaint(Options(host), caplog)
    assert "check host" in said
    assert "Traceback" not in caplog.text


def test_a_refused_connection_names_the_port(caplog: pytest.LogCaptureFixture) -> None:
    said = first_complaint(Options("127.0.0.1", free_port()), caplog)
    assert "can't be reached (Connection refused)" in said


def test_a_second_client_of_the_same_id_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    accepted, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x07\x8e\x05\x1f\x00\x02hi"
    with server_that_says(accepted + taken_over) as port:
        said = first_complaint(Options("127.0.0.1", port, client_id="same"), caplog)
    assert "another client connected" in said
    assert "does a second service have" in said


def test_a_lost_connection_is_said(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with connected(Options("127.0.0.1", broker.port)):
        broker.stop()
        eventually(lambda: complaints(caplog))
    assert "is lost" in complaints(caplog)[0]


def test_an_undecodable_topic_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    accepted, message = b"\x20\x03\x00\x00\x00", b"\x30\x05\x00\x02\xff\xfe\x00"
    with server_that_says(accepted + message) as port:
        said = first_complaint(Options("127.0.0.1", port), caplog)
    assert "is lost" in said


@pytest.mark.parametrize(
    ("fault", "said", "traces"),
    [
        (ZeroDivisionError(), "failed unexpectedly", 1),
        (OSError(errno.EMFILE, "Too many open files"), "this process may open no more files", 0),
    ],
)
def test_a_fault_costs_one_connection(
    fault: Exception, said: str, traces: int, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [fault]

    def fail_once() -> None:
        if faults:
            raise faults.pop()

    connection = Connection(Options("127.0.0.1", broker.port))
    connection.on_connect(fail_once)
    connection.start()
    eventually(lambda: said in caplog.text)
    eventually(lambda: connection.connected)
    connection.stop(5)
    assert caplog.text.count("Traceback") == traces


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (TimeoutError(), "does not answer: check host and port"),
        (OSError(113, "No route to host"), "can't be reached (No route to host)"),
        (socket.gaierror(), "the name 'localhost' has no address: check host in [mqtt]"),
    ],
)
def test_an_unreachable_broker_is_named(error: Exception, remedy: str) -> None:
    assert remedy in reasons.unreachable(error, Options())


@pytest.mark.parametrize(
    ("protocol", "code", "remedy"),
    [
        ("5", "Unsupported protocol version", 'set protocol = "3.1.1"'),
        ("3.1.1", "Unsupported protocol version", 'set protocol = "5"'),
        ("5", "Client identifier not valid", "refuses the client id 'me'"),
        ("5", "Server busy", "refuses the connection: Server busy"),
    ],
)
def test_a_refusal_is_explained(protocol: Literal["5", "3.1.1"], code: str, remedy: str) -> None:
    refusal = ReasonCode(PacketTypes.CONNACK, code)
    assert remedy in reasons.refused(refusal, Options(protocol=protocol, client_id="me"))


def test_what_the_broker_forbids_is_said_once_per_topic(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        broker_with(tmp_path, "topic read #\ntopic write allowed/#\n") as (broker, _),
        Observer(broker.port) as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        for number in range(3):
            connection.publish("forbidden", {"n": number})
        connection.publish("allowed/end", {})
        observer.saw(lambda seen: seen.topic == "allowed/end")
    (denial,) = [text for text in complaints(caplog) if "forbidden" in text]
    assert denial.endswith("does not let us publish forbidden: Not authorized")


def tls_broker(folder: Path, certificates: Certificates, *settings: str) -> Mosquitto:
    lines = (
        "allow_anonymous true",
        f"cafile {certificates.authority}",
        f"certfile {certificates.server}",
        f"keyfile {certificates.server_key}",
    )
    broker = Mosquitto(folder, [*lines, *settings])
    broker.start()
    return broker


def test_tls_with_a_client_certificate(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    broker = tls_broker(tmp_path, certificates, "require_certificate true")
    options = Options(
        "127.0.0.1",
        broker.port,
        tls=True,
        ca_file=certificates.authority,
        cert_file=certificates.client,
        key_file=certificates.client_key,
    )
    received: list[bytes] = []
    with connected(options) as connection:
        connection.subscribe("big", lambda message: received.append(message.payload))
        connection.retain("big", {"text": "x" * 300_000})
        eventually(lambda: received)
    bare = Options("127.0.0.1", broker.port, tls=True, ca_file=certificates.authority)
    said = first_complaint(bare, caplog)
    broker.stop()
    assert "check cert_file and key_file if it asks for a certificate" in said


@leaves_a_socket
def test_a_certificate_of_a_stranger_is_not_accepted(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    broker = tls_broker(tmp_path, certificates)
    options = Options("127.0.0.1", broker.port, tls=True, ca_file=certificates.stranger)
    said = first_complaint(options, caplog)
    broker.stop()
    assert "is not accepted" in said
    assert "check ca_file and host in [mqtt]" in said


@leaves_a_socket
def test_tls_against_a_plain_port(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    said = first_complaint(Options("127.0.0.1", broker.port, tls=True), caplog)
    assert "check port and tls in [mqtt]" in said


def test_plain_text_against_a_tls_port(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    broker = tls_broker(tmp_path, certificates)
    said = first_complaint(Options("127.0.0.1", broker.port), caplog)
    broker.stop()
    assert "set tls = true" in said


def test_certificate_files_are_checked_at_once(tmp_path: Path, certificates: Certificates) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match=r"ca_file .*missing.pem .*No such file"):
        Connection(Options(tls=True, ca_file=missing))
    with pytest.raises(ConfigError, match="no matching certificate or key"):
        Connection(Options(tls=True, ca_file=certificates.server_key))
    with pytest.raises(ConfigError, match="no matching certificate or key"):
        Connection(
            Options(tls=True, cert_file=certificates.client, key_file=certificates.server_key)
        )


def test_a_missing_connection_is_a_problem(broker: Mosquitto) -> None:
    with running(Options("127.0.0.1", free_port())) as connection:
        eventually(lambda: "can't be reached" in connection.problems[0])
    with connected(Options("127.0.0.1", broker.port)) as connection:
        assert connection.problems == []


@pytest.mark.parametrize(
    ("topics", "said"),
    [({"a"}, "does not let us publish a: check"), ({"b", "a", "c"}, "publish a and 2 more: check")],
)
def test_the_first_topic_that_is_denied_is_named(topics: set[str], said: str) -> None:
    assert said in reasons.kept_from("127.0.0.1:1883", "does not let us publish", topics)


def test_what_the_broker_allows_again_is_no_problem_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules may change while a connection stands, and what is retained may not come again soon."""
    monkeypatch.setattr("esquirell.mqtt.traffic.REFUSED_AGAIN_S", 0.2)
    with (
        broker_with(tmp_path, "topic read #\n") as (broker, change),
        Observer(broker.port, "states/#") as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        connection.retain("states/main", {"n": 1})
        connection.publish("events/main", {"n": 1})
        eventually(lambda: any("events/main and 1 more" in one for one in connection.problems))
        monkeypatch.setattr("esquirell.mqtt.traffic.EVENT_NAMED_S", 0.0)
        change("topic readwrite #\n")
        observer.saw(lambda seen: seen.topic == "states/main" and seen.json == {"n": 1})
        eventually(lambda: connection.problems == [], what=lambda: str(connection.problems))


def test_a_topic_is_cleared_once_the_broker_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a meter is removed: otherwise it would stay in Home Assistant."""
    monkeypatch.setattr("esquirell.mqtt.traffic.REFUSED_AGAIN_S", 0.2)
    monkeypatch.setattr("esquirell.mqtt.traffic.EVENT_NAMED_S", 2.0)
    with (
        broker_with(tmp_path, "topic readwrite #\n") as (broker, change),
        Observer(broker.port, "states/#") as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        connection.retain("states/main", {"n": 1})
        observer.saw(lambda seen: seen.topic == "states/main")
        change("topic read #\n")

        def is_refused() -> bool:
            connection.publish("events/main", {"n": 1})
            return connection.problems != []

        eventually(is_refused)
        connection.retain("states/main", None)
        # The event is no problem any more after a while, the topic is until it is cleared.
        eventually(lambda: any("states/main" in one for one in connection.problems))
        change("topic readwrite #\n")
        observer.saw(lambda seen: seen.topic == "states/main" and not seen.payload)
        eventually(lambda: connection.problems == [], what=lambda: str(connection.problems))


def test_a_subscription_that_the_broker_accepts_later_is_no_problem_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("esquirell.mqtt.traffic.REFUSED_AGAIN_S", 0.2)
    came: list[bytes] = []
    with ScriptedBroker() as broker:
        broker.refused_filters = {"commands/#"}
        with connected(Options("127.0.0.1", broker.port)) as connection:
            connection.subscribe("commands/#", lambda message: came.append(message.payload))
            eventually(lambda: any("commands/#" in one for one in connection.problems))
            broker.refused_filters = set()
            eventually(lambda: connection.problems == [], what=lambda: str(connection.problems))
