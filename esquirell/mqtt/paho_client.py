"""paho's client: built for one connection, and connected."""

import socket
import ssl
from typing import Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from esquirell.mqtt.options import Options, Will
from esquirell.mqtt.outbox import encode

CONNECT_LIMIT_S = 5.0
_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}

# What follows the number in an acknowledgement of a message that was taken: mostly nothing, or
# that nobody has subscribed to its topic.
USUAL = {
    b"": ReasonCode(PacketTypes.PUBACK),
    b"\x10": ReasonCode(PacketTypes.PUBACK, identifier=0x10),
}
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]  # untyped
_NUMBER = 2


class _Client(Client):
    """paho's client, which does not take apart each of the usual acknowledgements anew.

    paho makes up to three objects of dozens of fields for each: a third of what a message costs.
    """

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = bytes(self._in_packet["packet"])
        code = USUAL.get(packet[_NUMBER:])
        if code is None or cmd != "PUBACK" or len(packet) < _NUMBER:
            return super()._handle_pubackcomp(cmd)
        number = int.from_bytes(packet[:_NUMBER], "big")
        with self._out_message_mutex:
            if number in self._out_messages:
                return self._do_on_publish(number, code, _NO_PROPERTIES)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def client_of(options: Options, context: ssl.SSLContext | None, will: Will | None) -> Client:
    """Return a client that is not connected yet."""
    client = _Client(
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
    line = client.socket()
    if isinstance(line, socket.socket):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
