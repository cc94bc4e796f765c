"""Packs and unpacks frames of the Tuya LAN protocol with the current key of a connection.

Layouts: tinytuya.core.message_helper and tinytuya.core.XenonDevice. 3.1 to 3.3 protect frames
with a CRC-32, 3.4 signs them with HMAC-SHA256, and both encrypt payloads with AES-ECB, except
for most of 3.1's. 3.5 encrypts and signs whole frames with AES-GCM.
"""

import base64
import binascii
import hmac
import struct
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from esquirell.domain.record import record
from esquirell.tuya.tinytuya_import import (
    DP_QUERY,
    DP_QUERY_NEW,
    HEART_BEAT,
    PREFIX_55AA_BIN,
    PREFIX_55AA_VALUE,
    PREFIX_6699_BIN,
    PREFIX_6699_VALUE,
    SESS_KEY_NEG_FINISH,
    SESS_KEY_NEG_RESP,
    SESS_KEY_NEG_START,
    UPDATEDPS,
    AESCipher,
    DecodeError,
    TuyaHeader,
    TuyaMessage,
    pack_message,
    unpack_message,
)

NONCE_BYTES = 16
LONGEST_FRAME = 8192
"""In bytes. tinytuya's own limit, 1440, is one packet; gateways send more."""

MOST_BROKEN_OFF = 8
"""Up to this many incomplete frames in a row are skipped to find a whole one."""

_PREFIX_BYTES = 4
_RETURN_CODE = bytes(4)
_VERSION_HEADER_BYTES = 15
_MD5_BYTES = 16
_BLOCK_BYTES = 16
# The end of a frame: a CRC-32 or a signature, and the suffix.
_SHORTEST_BODY = 8
_SIGNED_END_BYTES = 36
_SUFFIXES = {PREFIX_55AA_BIN: b"\x00\x00\xaaU", PREFIX_6699_BIN: b"\x00\x00\x99f"}
# What the length in the header leaves out: 55AA includes the suffix, 6699 does not.
_HEADERS = {PREFIX_55AA_BIN: (">4I", 16, 0), PREFIX_6699_BIN: (">IHIII", 18, 4)}
_WITHOUT_VERSION = (
    DP_QUERY,
    DP_QUERY_NEW,
    UPDATEDPS,
    HEART_BEAT,
    SESS_KEY_NEG_START,
    SESS_KEY_NEG_RESP,
    SESS_KEY_NEG_FINISH,
)


@record
class Frame:
    """An unpacked frame; an acknowledgement has no payload."""

    command: int
    sequence: int
    payload: bytes


class FrameError(Exception):
    """A frame that can't be unpacked; `speaks` is the protocol of its layout, if recognised."""

    def __init__(self, speaks: str | None = None) -> None:
        super().__init__("the frame can't be opened")
        self.speaks = speaks


class FrameBuffer:
    """Cuts a stream of bytes into frames with bounded memory.

    Anything else is skipped: `skipped` counts those bytes. An incomplete frame is dropped when a
    whole one follows.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._buffer = b""

    @property
    def size(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take in bytes; return the frames that are now complete."""
        self._buffer += data
        frames = []
        while self._buffer and (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> bytes | None:
        while True:
            self._skip_to_prefix()
            end = self._end_of_frame(0)
            if end is None:
                behind = self._whole_frame_behind()
                if behind is None:
                    return None
                self._skip(behind)
            elif end:
                frame, self._buffer = self._buffer[:end], self._buffer[end:]
                return frame
            else:
                self._skip(_PREFIX_BYTES)

    def _end_of_frame(self, at: int) -> int | None:
        """Return the end of the frame at an offset; None if incomplete, 0 if it is not a frame."""
        prefix = self._buffer[at : at + _PREFIX_BYTES]
        if prefix not in _HEADERS or len(self._buffer) < at + _HEADERS[prefix][1]:
            return None
        length = header_of(self._buffer[at : at + _HEADERS[prefix][1]]).total_length
        if not _SHORTEST_BODY <= length <= LONGEST_FRAME:
            return 0
        end = at + length
        if len(self._buffer) < end:
            return None
        return end if self._buffer[end - 4 : end] == _SUFFIXES[prefix] else 0

    def _whole_frame_behind(self) -> int | None:
        """Return the offset of a whole frame after the first, incomplete one."""
        at = 0
        for _ in range(MOST_BROKEN_OFF):
            found = [self._buffer.find(prefix, at + 1) for prefix in _HEADERS]
            at = min((place for place in found if place >= 0), default=-1)
            if at < 0:
                return None
            if self._end_of_frame(at):
                return at
        return None

    def _skip_to_prefix(self) -> None:
        if self._buffer[:4] in _HEADERS:
            return
        found = [at for prefix in _HEADERS if (at := self._buffer.find(prefix)) >= 0]
        # The start of a prefix may have arrived.
        self._skip(min(found) if found else max(0, len(self._buffer) - 3))

    def _skip(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self.skipped += count


def header_of(data: bytes) -> TuyaHeader:
    """Parse the header of a frame."""
    layout, size, beyond = _HEADERS[data[:4]]
    prefix, *_, sequence, command, length = struct.unpack(layout, data[:size])
    return TuyaHeader(prefix, sequence, command, length, size + length + beyond)


class Codec:
    """Packs and unpacks the frames of one connection, on either side of it."""

    def __init__(self, version: str, key: bytes) -> None:
        self.version = version
        self.use(key)

    def use(self, key: bytes) -> None:
        """Switch to another key, such as the negotiated session key."""
        self.key = key
        # Blocks in ECB are independent of each other: one context serves all frames.
        cipher = Cipher(AES(key), ECB())  # noqa: S305 - the protocol's
        self._encrypt = cipher.encryptor().update
        self._decrypt_blocks = cipher.decryptor().update

    def pack(self, command: int, payload: bytes, sequence: int, *, answers: bool = False) -> bytes:
        """Build a frame; a device `answers` with a return code, 0 for success."""
        header = self.version.encode() + bytes(12)
        named = header if command not in _WITHOUT_VERSION else b""
        if self.version == "3.5":
            code, body, prefix = (0 if answers else None), named + payload, PREFIX_6699_VALUE
        else:
            code, body, prefix = 0, self._seal(payload, named), PREFIX_55AA_VALUE
            body = _RETURN_CODE + body if answers else body
        # tinytuya computes the checksum; iv=True makes it draw the nonce of a 3.5 frame.
        message = TuyaMessage(sequence, command, code, body, 0, True, prefix, True)  # noqa: FBT003
        return bytes(pack_message(message, hmac_key=self._signing_key))

    def unpack(self, frame: bytes) -> Frame:
        """Decrypt and check a frame. Raises FrameError."""
        if (frame[:4] == PREFIX_6699_BIN) != (self.version == "3.5"):
            raise FrameError("3.5" if self.version != "3.5" else _older(frame))
        if self.version == "3.5":
            opened, is_intact = self._open_6699(frame)
        else:
            opened, is_intact = _checked(frame, self._signing_key)
        if not is_intact:
            raise FrameError(_older(frame) if self.version == "3.4" else self._signed(frame))
        try:
            payload = self._open(_without_return_code(opened.payload))
        except (ValueError, TypeError, binascii.Error) as error:
            raise FrameError(_by_payload(opened.payload, self.version)) from error
        return Frame(opened.command, opened.sequence, payload)

    @property
    def _signing_key(self) -> bytes | None:
        return self.key if self.version in {"3.4", "3.5"} else None

    def _open_6699(self, frame: bytes) -> tuple[Frame, bool]:
        """Decrypt a 6699 frame; return it, and whether its tag is valid. Raises FrameError."""
        try:
            said = unpack_message(frame, self.key, header=header_of(frame), no_retcode=True)
        except (DecodeError, struct.error) as error:
            raise FrameError from error
        return Frame(said.cmd, said.seqno, said.payload), said.crc_good

    def _signed(self, frame: bytes) -> str | None:
        """Return the protocol of a frame: 3.4 signs where older ones have a CRC-32."""
        return self.version if frame[:4] == PREFIX_6699_BIN else "3.4"

    def _seal(self, payload: bytes, named: bytes) -> bytes:
        if self.version == "3.1" or (not payload and self.version != "3.4"):
            return payload
        if self.version == "3.4":
            return self._encrypt(_padded(named + payload))
        return named + self._encrypt(_padded(payload))

    def _open(self, payload: bytes) -> bytes:
        """Decrypt a payload and remove its version header. Raises ValueError or binascii.Error."""
        if self.version == "3.5":
            return _without_version(payload)
        if self.version == "3.4":
            return _without_version(self._decrypt(payload)) if payload else b""
        if self.version == "3.1" and not payload.startswith(b"3.1"):
            return payload
        if payload[:2] == b"3." and not payload.startswith(self.version.encode()):
            raise ValueError("the payload is of another protocol")
        if self.version == "3.1":
            return self._decrypt(base64.b64decode(payload[3 + _MD5_BYTES :], validate=True))
        if len(payload) % _BLOCK_BYTES == _VERSION_HEADER_BYTES:
            payload = payload[_VERSION_HEADER_BYTES:]
        return self._decrypt(payload) if payload else b""

    def _decrypt(self, sealed: bytes) -> bytes:
        if not sealed or len(sealed) % _BLOCK_BYTES:
            raise ValueError("the length is not a multiple of the block size")
        return _unpadded(self._decrypt_blocks(sealed))


def proof_of(key: bytes, nonce: bytes) -> bytes:
    """Return the proof of knowing a key, for the side that drew the nonce."""
    return hmac.digest(key, nonce, sha256)


def session_key(version: str, local_key: bytes, client: bytes, device: bytes) -> bytes:
    """Derive a session key from the nonces of both sides, as tinytuya does."""
    mixed = bytes(a ^ b for a, b in zip(client, device, strict=True))
    cipher = AESCipher(local_key)
    if version == "3.4":
        return bytes(cipher.encrypt(mixed, use_base64=False, pad=False))
    return bytes(cipher.encrypt(mixed, use_base64=False, pad=False, iv=client[:12])[12:28])


def _padded(payload: bytes) -> bytes:
    """Pad to whole blocks (PKCS #7)."""
    missing = _BLOCK_BYTES - len(payload) % _BLOCK_BYTES
    return payload + bytes([missing]) * missing


def _unpadded(payload: bytes) -> bytes:
    """Remove the padding (PKCS #7). Raises ValueError."""
    count = payload[-1]
    if not 1 <= count <= _BLOCK_BYTES or payload[-count:] != payload[-1:] * count:
        raise ValueError("the padding is invalid")
    return payload[:-count]


def _without_return_code(payload: bytes) -> bytes:
    """Remove the return code, if there is one: some reports have none."""
    return payload[4:] if payload[:3] == bytes(3) and len(payload) >= len(_RETURN_CODE) else payload


def _without_version(payload: bytes) -> bytes:
    return payload[_VERSION_HEADER_BYTES:] if payload[:2] == b"3." else payload


def _checked(frame: bytes, key: bytes | None) -> tuple[Frame, bool]:
    """Parse a 55AA frame; return it, and whether its signature or CRC-32 is valid.

    tinytuya does the same with a dozen more calls. Raises FrameError.
    """
    layout, size, _ = _HEADERS[PREFIX_55AA_BIN]
    end = len(frame) - (_SIGNED_END_BYTES if key else _SHORTEST_BODY)
    if end < size:
        raise FrameError
    _, sequence, command, _ = struct.unpack_from(layout, frame)
    body, seal = frame[:end], frame[end : -len(_SUFFIXES[PREFIX_55AA_BIN])]
    expected = proof_of(key, body) if key else struct.pack(">I", binascii.crc32(body))
    return Frame(command, sequence, body[size:]), hmac.compare_digest(seal, expected)


def _older(frame: bytes) -> str | None:
    """Return the protocol of a 55AA frame: a CRC-32 below 3.4, a signature from then on."""
    try:
        opened, is_intact = _checked(frame, None)
    except FrameError:
        return None
    return _by_payload(opened.payload, "") if is_intact else "3.4"


def _by_payload(payload: bytes, asked: str) -> str | None:
    """Return which protocol with a CRC-32: by its version header, or plain text (3.1)."""
    payload = _without_return_code(payload)
    for version in ("3.1", "3.2", "3.3"):
        if payload.startswith(version.encode()):
            return version
    if payload and payload.isascii():
        return None if asked == "3.1" else "3.1"
    return asked if asked in {"3.2", "3.3"} else "3.3"
