"""The options of the demo, and its error."""

import struct

from esquirell.domain.errors import EsquirellError
from esquirell.domain.meter import ProtocolVersion
from esquirell.domain.record import record

HOST = "127.0.0.1"

POINTER_BYTES_OF_64_BIT = 8


class DemoError(EsquirellError):
    """The demo can't go on; `log` has the last lines of the failed program, if there is one."""

    def __init__(self, sentence: str, log: str = "") -> None:
        super().__init__(sentence)
        self.log = log


@record
class Plan:
    """How to run: `seconds` None until stopped, `port` None for any; `every` in seconds."""

    seconds: int | None = None
    meters: int = 1
    protocol: ProtocolVersion = "3.4"
    port: int | None = None
    every: int = 2


def check_platform(pointer_bytes: int = struct.calcsize("P")) -> None:
    """Reject a 32-bit Python: some dependencies exist for 64 bits only. Raises DemoError."""
    if pointer_bytes < POINTER_BYTES_OF_64_BIT:
        raise DemoError(
            "this is a 32-bit Python, and esquirell needs a 64-bit system: "
            "on a Raspberry Pi install the 64-bit Raspberry Pi OS"
        )
