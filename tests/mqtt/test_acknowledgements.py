"""The short way for acknowledgements: it reads in them what paho does."""

from paho.mqtt._packet import decode_puback
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion

from esquirell.mqtt.paho_client import USUAL


def test_the_usual_acknowledgements_mean_what_paho_reads_in_them() -> None:
    # What the short way takes the place of; without it paho would have to do the work.
    assert hasattr(Client, "_handle_pubackcomp")
    for tail, code in USUAL.items():
        read = decode_puback(0x40, b"\x12\x34" + tail, MQTTProtocolVersion.MQTTv5)
        assert (read.mid, read.reason) == (0x1234, code)
        assert not code.is_failure
