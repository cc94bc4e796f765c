"""The parts of tinytuya that we use, imported without what only its cloud client and Windows need.

`cloud.api` replaces that client; requests and its dependencies would take 4 MiB, colorama 0.2.
tinytuya's sockets, retries and Monitor are not used: it serves as the codec.
"""

from esquirell.lazy_import import lazy_import, missing

with lazy_import("requests"), missing("colorama"):
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
