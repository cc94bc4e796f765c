"""What we use of tinytuya, imported without what only its own way to the cloud needs.

That way is replaced by `cloud.api`; requests, and what comes with it, would be 4 MiB.
Its sockets, retries and Monitor are not used: it is the codec.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class _Placeholder(ModuleType):
    """Stands for a module that nobody has used so far."""

    def __getattr__(self, name: str) -> object:
        # Whoever imports it meanwhile would find the placeholder instead of the module.
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), name)
        return found


@contextmanager
def lazy_import(name: str) -> Iterator[None]:
    """Defer `import name` inside the block until the module is used.

    Raises what importing it raises, then.
    """
    if name in sys.modules:
        yield
        return
    placeholder = sys.modules[name] = _Placeholder(name)
    try:
        yield
    finally:
        if sys.modules.get(name) is placeholder:
            del sys.modules[name]


with lazy_import("requests"):
    import tinytuya
    from tinytuya.core import (
        CONTROL_NEW,
        DP_QUERY,
        DP_QUERY_NEW,
        HEART_BEAT,
        PREFIX_55AA_BIN,
        PREFIX_55AA_VALUE,
        PREFIX_6699_BIN,
        PREFIX_6699_VALUE,
        REQ_DEVINFO,
        SESS_KEY_NEG_FINISH,
        SESS_KEY_NEG_RESP,
        SESS_KEY_NEG_START,
        STATUS,
        UPDATEDPS,
        AESCipher,
        DecodeError,
        TuyaHeader,
        TuyaMessage,
        decrypt_udp,
        pack_message,
        udpkey,
        unpack_message,
    )

__all__ = (
    "CONTROL_NEW",
    "DP_QUERY",
    "DP_QUERY_NEW",
    "HEART_BEAT",
    "PREFIX_55AA_BIN",
    "PREFIX_55AA_VALUE",
    "PREFIX_6699_BIN",
    "PREFIX_6699_VALUE",
    "REQ_DEVINFO",
    "SESS_KEY_NEG_FINISH",
    "SESS_KEY_NEG_RESP",
    "SESS_KEY_NEG_START",
    "STATUS",
    "UPDATEDPS",
    "AESCipher",
    "DecodeError",
    "TuyaHeader",
    "TuyaMessage",
    "decrypt_udp",
    "pack_message",
    "tinytuya",
    "udpkey",
    "unpack_message",
)
