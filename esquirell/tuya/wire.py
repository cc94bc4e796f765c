"""The device's side of the Tuya LAN protocol: frames in, frames out."""

import hmac
import os
import struct
from hashlib import sha256

from esquirell.tuya.lean import (
    PREFIX_55AA_VALUE,
    PREFIX_6699_VALUE,
    AESCipher,
    DecodeError,
    TuyaMessage,
    pack_message,
    parse_header,
    unpack_message,
)

VERSIONS = ("3.3", "3.4", "3.5")

_RETCODE_OK = struct.pack(">I", 0)
_HEADER_FILL = bytes(12)
_NONCE_BYTES = 16
_LONGEST_HEADER = 18


class ForeignFrameError(Exception):
    """A frame that the device can't open: another protocol, another key, or no frame at all."""


class Wire:
    """Opens requests and builds answers of one connection, with the key in force on it.

    Layouts: tinytuya.core.message_helper and tinytuya.core.XenonDevice. 3.3 encrypts payloads
    with AES-ECB in frames with a CRC-32; 3.4 does so in frames that are signed with
    HMAC-SHA256; 3.5 encrypts and signs whole frames with AES-GCM.
    """

    def __init__(self, version: str, local_key: bytes) -> None:
        self.version = version
        self._local_key = local_key
        self._key = local_key
        self._nonce = os.urandom(_NONCE_BYTES)
        self._peer_nonce = b""
        self._sent = 0

    @property
    def agreed(self) -> bool:
        """Tell whether requests may be answered: with 3.3 at once, else with a session key."""
        return self.version == "3.3" or self._key is not self._local_key

    def unpack(self, frame: bytes) -> TuyaMessage:
        """Open a request. Raises ForeignFrameError."""
        try:
            message = unpack_message(frame, hmac_key=self._signing_key, no_retcode=True)
        except (DecodeError, TypeError, struct.error) as error:
            raise ForeignFrameError("not a frame of this protocol") from error
        if message.prefix != self._prefix or not message.crc_good:
            raise ForeignFrameError("not signed as it should be")
        return message._replace(payload=self._open(message.payload))

    def pack(self, request: TuyaMessage, command: int, payload: bytes) -> bytes:
        """Build the answer to a request."""
        self._sent += 1
        if self.version == "3.5":
            # These devices count their own frames; older ones repeat the number of the request.
            answer = _message(self._sent, command, payload, PREFIX_6699_VALUE)
        else:
            sealed = _RETCODE_OK + self._seal(payload)
            answer = _message(request.seqno, command, sealed, PREFIX_55AA_VALUE)
        return bytes(pack_message(answer, hmac_key=self._signing_key))

    def begin_agreement(self, peer_nonce: bytes) -> bytes:
        """Take the nonce of the client; give our own and the proof that we know the key.

        Raises ForeignFrameError.
        """
        if len(peer_nonce) != _NONCE_BYTES:
            raise ForeignFrameError("not a nonce")
        self._peer_nonce = peer_nonce
        return self._nonce + _prove(self._local_key, peer_nonce)

    def end_agreement(self, proof: bytes) -> None:
        """Check the proof of the client and switch to the session key.

        Raises ForeignFrameError.
        """
        if not hmac.compare_digest(proof, _prove(self._local_key, self._nonce)):
            raise ForeignFrameError("the client does not know the local key")
        mixed = bytes(a ^ b for a, b in zip(self._peer_nonce, self._nonce, strict=True))
        cipher = AESCipher(self._local_key)
        if self.version == "3.4":
            self._key = cipher.encrypt(mixed, use_base64=False, pad=False)
        else:
            nonce = self._peer_nonce[:12]
            self._key = cipher.encrypt(mixed, use_base64=False, pad=False, iv=nonce)[12:28]

    @property
    def _signing_key(self) -> bytes | None:
        return None if self.version == "3.3" else self._key

    @property
    def _prefix(self) -> int:
        return int(PREFIX_6699_VALUE if self.version == "3.5" else PREFIX_55AA_VALUE)

    def _open(self, payload: bytes) -> bytes:
        header = self.version.encode() + _HEADER_FILL
        if self.version == "3.5":
            return payload.removeprefix(header)
        try:
            opened = AESCipher(self._key).decrypt(
                payload.removeprefix(header),
                use_base64=False,
                decode_text=False,
                verify_padding=True,
            )
        except ValueError as error:
            raise ForeignFrameError("encrypted with another key") from error
        return bytes(opened).removeprefix(header)

    def _seal(self, payload: bytes) -> bytes:
        if not payload and self.version == "3.3":
            return b""
        return bytes(AESCipher(self._key).encrypt(payload, use_base64=False))


def split(stream: bytes) -> tuple[list[bytes], bytes]:
    """Split what came so far into whole frames and the rest. Raises ForeignFrameError."""
    frames = []
    while len(stream) >= _LONGEST_HEADER:
        try:
            length = parse_header(stream).total_length
        except DecodeError as error:
            raise ForeignFrameError("not a Tuya frame") from error
        if len(stream) < length:
            break
        frames.append(stream[:length])
        stream = stream[length:]
    return frames, stream


def _message(number: int, command: int, payload: bytes, prefix: int) -> TuyaMessage:
    # tinytuya works the checksum out; iv=True lets it draw the nonce of a 3.5 frame.
    return TuyaMessage(
        seqno=number,
        cmd=command,
        retcode=0,
        payload=payload,
        crc=0,
        crc_good=True,
        prefix=prefix,
        iv=True,
    )


def _prove(key: bytes, nonce: bytes) -> bytes:
    return hmac.new(key, nonce, sha256).digest()
