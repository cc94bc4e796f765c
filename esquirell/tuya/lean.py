"""tinytuya without what only its own way to the cloud needs.

That way is replaced by `cloud_api`; requests, and what comes with it, would be 4 MiB.
"""

from esquirell.tuya.later import later

with later("requests"):
    import tinytuya
    from tinytuya.core import (
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
        TuyaMessage,
        decrypt_udp,
        pack_message,
        parse_header,
        udpkey,
        unpack_message,
    )

__all__ = (
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
    "TuyaMessage",
    "decrypt_udp",
    "pack_message",
    "parse_header",
    "tinytuya",
    "udpkey",
    "unpack_message",
)
