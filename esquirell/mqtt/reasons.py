"""Why there is no connection, in one sentence that says what to change."""

import errno
import socket
import ssl
from collections.abc import Collection

from paho.mqtt.reasoncodes import ReasonCode

from esquirell.domain.hosts import nameless
from esquirell.mqtt.options import Options

# MQTT 5.0, section 2.4; paho gives the return codes of MQTT 3.1.1 as these, too.
_UNSPECIFIED = 0x80
_NOT_THIS_VERSION = 0x84
_BAD_CLIENT_ID = 0x85
_BAD_CREDENTIALS = (0x86, 0x87)
_TAKEN_OVER = 0x8E


def unreachable(error: Exception, options: Options) -> str:
    """Return why no connection could be opened."""
    match error:
        case socket.gaierror() | UnicodeError():
            return nameless(options.host, "host in [mqtt]")
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of {options.where} is not accepted ({error.verify_message}): "
                "check ca_file and host in [mqtt]"
            )
        case ssl.SSLError() | ConnectionResetError():  # a reset that early ends a TLS handshake
            return f"{options.where} does not speak a matching TLS: check port and tls in [mqtt]"
        case OSError(errno=errno.EMFILE):
            return f"{options.where} can't be reached: this process may open no more files"
        case TimeoutError():
            return f"{options.where} does not answer: check host and port in [mqtt]"
    why = getattr(error, "strerror", None) or str(error)
    return f"{options.where} can't be reached ({why}): check host and port in [mqtt]"


def is_protocol_refused(code: ReasonCode) -> bool:
    """Whether the broker does not support the version of MQTT that was used."""
    return bool(code.value == _NOT_THIS_VERSION)


def are_credentials_refused(code: ReasonCode) -> bool:
    """Whether the broker rejects the user name or the password."""
    return code.value in _BAD_CREDENTIALS


def refused(code: ReasonCode, options: Options) -> str:
    """Return why the broker did not accept the connection."""
    if are_credentials_refused(code):
        return (
            f"{options.where} refuses the user name or the password: "
            "check username and password in [mqtt]"
        )
    if is_protocol_refused(code):
        other = "3.1.1" if options.protocol == "5" else "5"
        return (
            f"{options.where} does not speak MQTT {options.protocol}: "
            f'set protocol = "{other}" in [mqtt]'
        )
    if code.value == _BAD_CLIENT_ID:
        return f"{options.where} refuses the client id {options.client_id!r}"
    return f"{options.where} refuses the connection: {code}"


def hung_up(options: Options) -> str:
    """Return the sentence for a broker that ends a connection without accepting or rejecting it."""
    remedies = ['set protocol = "3.1.1" if it does not speak MQTT 5'] * (options.protocol == "5")
    if options.tls:
        remedies.append("check cert_file and key_file if it asks for a certificate")
    else:
        remedies.append("set tls = true if that port speaks TLS")
    return f"{options.where} hung up without an answer: in [mqtt], {', or '.join(remedies)}"


def silent(options: Options) -> str:
    """Return the sentence for something that accepts a connection but does not speak MQTT."""
    remedies = ['set protocol = "3.1.1" if it does not speak MQTT 5'] * (options.protocol == "5")
    remedies.append("check port and tls")
    return f"{options.where} does not answer in MQTT: in [mqtt], {', or '.join(remedies)}"


def unconfirmed(options: Options) -> str:
    """Return the sentence for a broker that no longer confirms anything."""
    return f"{options.where} has not confirmed a message for a minute: see its log"


def too_large(topic: str, size: int, limit: int, options: Options) -> str:
    """Return the sentence for a message that is too large for the broker."""
    return (
        f"{topic} is not published: it has {size} bytes, but {options.where} takes {limit} at "
        "most: raise its limit (max_packet_size in mosquitto)"
    )


def kept_from(where: str, what: str, topics: Collection[str]) -> str:
    """Return what the broker does not let us do, with the first of the topics."""
    first, *others = sorted(topics)
    more = f" and {len(others)} more" if others else ""
    return f"{where} {what} {first}{more}: check its access rights and limits"


def without_mqtt_5(options: Options) -> str:
    """Return the sentence for a broker that refused MQTT 5."""
    return (
        f"{options.where} does not speak MQTT 5, so MQTT 3.1.1 is used: "
        'set protocol = "3.1.1" in [mqtt]'
    )


def lost(code: ReasonCode, options: Options) -> str:
    """Return why an accepted connection ended."""
    if code.value == _TAKEN_OVER:
        return (
            f"another client connected to {options.where} as {options.client_id!r}: "
            'does a second service have this "base_topic"?'
        )
    why = "" if code.value == _UNSPECIFIED else f" ({code})"
    return f"the connection to {options.where} is lost{why}"
