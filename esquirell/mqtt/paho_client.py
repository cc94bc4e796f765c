"""paho's client: built for one connection, and connected."""

import socket
import ssl
import time

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from esquirell import forks
from esquirell.mqtt.options import Options, Will
from esquirell.mqtt.outbox import encode

CONNECT_LIMIT_S = 5.0
_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


def client_of(options: Options, context: ssl.SSLContext | None, will: Will | None) -> Client:
    """Return a client that is not connected yet."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=None if options.protocol == "5" else options.starts_afresh,
        protocol=_PROTOCOLS[options.protocol],
        # Acknowledged when it was handled, not when it arrived.
        manual_ack=True,
    )
    client.connect_timeout = CONNECT_LIMIT_S
    if options.username:
        client.username_pw_set(options.username, options.password or None)
    if context is not None:
        client.tls_set_context(context)
    if will is not None:
        client.will_set(will.topic, encode(will.payload), qos=1, retain=True)
    return client


def connect(client: Client, options: Options) -> None:
    """Connect; the broker's answer comes later. Raises OSError, ValueError for a wrong host name.

    What is sent goes out at once: an answer would wait 40 ms for the acknowledgement of earlier
    data.
    """
    if options.protocol == "5":
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped
        session.SessionExpiryInterval = options.session_expiry
        client.connect(
            options.host,
            options.port,
            options.keepalive,
            clean_start=options.starts_afresh,
            properties=session,
        )
    else:
        client.connect(options.host, options.port, options.keepalive)
    # paho waits for a sign of the broker since before its name was looked up: that may have taken
    # longer than the broker is given, and the connection would be closed at once.
    client._last_bytes_received = client._last_msg_out = time.monotonic()  # noqa: SLF001
    line = client.socket()
    if isinstance(line, socket.socket):
        forks.keep(line)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
