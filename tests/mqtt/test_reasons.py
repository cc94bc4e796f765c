"""Each way in which a connection fails has a sentence that says what to change."""

import socket
import ssl
from dataclasses import replace

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from esquirell.mqtt import reasons
from esquirell.mqtt.options import Options

BROKER = Options(host="broker.lan", client_id="esquirell-house")
OLD = replace(BROKER, protocol="3.1.1")
SECURE = replace(BROKER, tls=True)


def code(value: int, packet: int = PacketTypes.CONNACK) -> ReasonCode:
    return ReasonCode(packet, identifier=value)


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "host in [mqtt]"),
        (UnicodeError("label too long"), "host in [mqtt]"),
        (untrusted(), "(self-signed certificate): check ca_file and host in [mqtt]"),
        (ssl.SSLError(1, "wrong version number"), "matching TLS: check port and tls in [mqtt]"),
        (ConnectionResetError(104, "reset"), "matching TLS: check port and tls in [mqtt]"),
        (TimeoutError(), "does not answer: check host and port in [mqtt]"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "can't be reached (Connection refused)",
        ),
        (ValueError("Invalid host."), "can't be reached (Invalid host.): check host and port"),
    ],
)
def test_what_could_not_be_opened_says_what_to_check(error: Exception, said: str) -> None:
    sentence = reasons.unreachable(error, BROKER)
    assert said in sentence
    assert "broker.lan" in sentence


@pytest.mark.parametrize(
    ("value", "options", "said", "credentials", "protocol"),
    [
        (0x86, BROKER, "refuses the user name or the password: check username", True, False),
        (0x87, BROKER, "refuses the user name or the password: check username", True, False),
        (0x84, BROKER, 'does not speak MQTT 5: set protocol = "3.1.1" in [mqtt]', False, True),
        (0x84, OLD, 'does not speak MQTT 3.1.1: set protocol = "5" in [mqtt]', False, True),
        (0x85, BROKER, "refuses the client id 'esquirell-house'", False, False),
        (0x88, BROKER, "refuses the connection: Server unavailable", False, False),
        (0x8A, BROKER, "refuses the connection: Banned", False, False),
    ],
)
def test_a_refusal_is_explained(
    value: int, options: Options, said: str, *, credentials: bool, protocol: bool
) -> None:
    refusal = code(value)
    assert said in reasons.refused(refusal, options)
    assert reasons.are_credentials_refused(refusal) == credentials
    assert reasons.is_protocol_refused(refusal) == protocol


@pytest.mark.parametrize(
    ("options", "old", "certificate"),
    [(BROKER, True, False), (OLD, False, False), (SECURE, True, True)],
)
def test_a_server_that_does_not_speak_mqtt_is_reported_with_a_remedy(
    options: Options, *, old: bool, certificate: bool
) -> None:
    hung_up, silent = reasons.hung_up(options), reasons.silent(options)
    for sentence in (hung_up, silent):
        assert ('set protocol = "3.1.1" if it does not speak MQTT 5' in sentence) == old
    assert ("cert_file and key_file" in hung_up) == certificate
    assert ("set tls = true if that port speaks TLS" in hung_up) == (not certificate)
    assert silent.endswith("check port and tls")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            0x8E,
            "another client connected to the MQTT broker at broker.lan:1883 as 'esquirell-house'",
        ),
        (0x80, "the connection to the MQTT broker at broker.lan:1883 is lost"),
        (
            0x8B,
            "the connection to the MQTT broker at broker.lan:1883 is lost (Server shutting down)",
        ),
    ],
)
def test_a_connection_that_ends_says_why_if_the_broker_did(value: int, said: str) -> None:
    sentence = reasons.lost(code(value, PacketTypes.DISCONNECT), BROKER)
    assert sentence.startswith(said)
    assert sentence.endswith("?" if value == 0x8E else said[-5:])


def test_withheld_messages_are_named_by_their_first_topic() -> None:
    assert reasons.kept_from("broker.lan", "does not let us publish", ["b", "a", "c"]) == (
        "broker.lan does not let us publish a and 2 more: check its access rights and limits"
    )
    assert "a: check" in reasons.kept_from("broker.lan", "does not let us publish", ["a"])
    assert (
        "a is not published: it has 9 bytes, but the MQTT broker at broker.lan:1883 takes 8"
        in reasons.too_large("a", 9, 8, BROKER)
    )
