"""The client's side of one connection to a device, without any I/O: bytes in, messages out."""

import hmac
import json
import math
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any

from esquirell.domain.record import record
from esquirell.tuya.errors import SESSION_VERSIONS, Evidence
from esquirell.tuya.lan.codec import (
    NONCE_BYTES,
    Codec,
    Frame,
    FrameBuffer,
    FrameError,
    proof_of,
    session_key,
)
from esquirell.tuya.tinytuya_import import (
    CONTROL_NEW,
    DP_QUERY,
    DP_QUERY_NEW,
    HEART_BEAT,
    SESS_KEY_NEG_FINISH,
    SESS_KEY_NEG_RESP,
    SESS_KEY_NEG_START,
    STATUS,
    UPDATEDPS,
)

LONGEST_REFUSAL = 80
LARGEST_ID = 65_535
LONGEST_ID = 5
_PROOF_BYTES = 32
_PLAIN = (int, str, bool)


@record
class Message:
    """The content of one frame about the device itself, or about the device `cid` behind it.

    `at` is the device's own time, `refusal` its error text instead of datapoints. An
    acknowledgement is empty.
    """

    command: int
    sequence: int = 0
    dps: Mapping[str, Any] = field(default_factory=dict)
    cid: str = ""
    at: int | None = None
    refusal: str = ""

    @property
    def is_report(self) -> bool:
        """Whether devices send this kind without being asked."""
        return bool(self.command == STATUS)

    @property
    def is_answer(self) -> bool:
        """Whether it answers a query, under any of their commands."""
        return self.command in {DP_QUERY, DP_QUERY_NEW, CONTROL_NEW}


class Session:
    """Builds queries in one protocol and parses answers; `ids` are the device's possible ids.

    `sequence` counts our frames. Frames to send at once during key negotiation are left in
    `outbox`.
    """

    def __init__(self, version: str, key: bytes, device_id: str, ids: Collection[str]) -> None:
        self.version = version
        self.agreed = version not in SESSION_VERSIONS
        self.evidence = Evidence()
        self.outbox = b""
        self._key = key
        self._device_id = device_id
        self._ids = ids
        self._codec = Codec(version, key)
        self._frames = FrameBuffer()
        self._nonce = b""
        self._sequence = 0
        self._heard = False

    def start(self) -> bytes:
        """Return the frame that starts the key negotiation; empty if the protocol has none."""
        if self.agreed:
            return b""
        self._nonce = os.urandom(NONCE_BYTES)
        return self._pack(SESS_KEY_NEG_START, self._nonce)

    def query(self, cid: str = "") -> bytes:
        """Build a query for all datapoints."""
        if self.version == "3.2":
            return self.query_ids(["1"], cid)
        if self.version in SESSION_VERSIONS:
            return self._ask(DP_QUERY_NEW, {}, cid)
        who = {"gwId": self._device_id, "devId": self._device_id, "uid": self._device_id}
        return self._ask(DP_QUERY, who | {"t": int(_now()) if cid else _now()}, cid)

    def query_ids(self, ids: Iterable[str], cid: str = "") -> bytes:
        """Build a query by id, for devices that answer "data unvalid" to the plain query."""
        who = {"devId": self._device_id, "uid": self._device_id, "t": _now()}
        return self._ask(CONTROL_NEW, who | {"dps": dict.fromkeys(ids)}, cid)

    def refresh(self, ids: Iterable[int], cid: str = "") -> bytes:
        """Build a request to measure and report datapoints (UPDATEDPS)."""
        return self._ask(UPDATEDPS, {"dpId": list(ids)}, cid)

    def heartbeat(self) -> bytes:
        """Build a heartbeat, which keeps the connection open."""
        return self._ask(HEART_BEAT, {"gwId": self._device_id, "devId": self._device_id}, "")

    def feed(self, data: bytes) -> list[Message]:
        """Take in bytes; return their messages. Whatever can't be parsed is noted in `evidence`."""
        messages = []
        for raw in self._frames.feed(data):
            try:
                frame = self._codec.unpack(raw)
            except FrameError as error:
                self._note(error.speaks)
                self.evidence.garbled |= error.speaks in {None, self.version}
                continue
            self._note(self.version)
            if not self.agreed:
                self._agree(frame)
            elif (message := self._parse(frame)) is not None:
                messages.append(message)
        return messages

    def _note(self, speaks: str | None) -> None:
        if not self._heard:
            self._heard, self.evidence.speaks = True, speaks

    def _agree(self, frame: Frame) -> None:
        """Check the device's proof, send ours and switch to the session key."""
        answer = frame.payload[-NONCE_BYTES - _PROOF_BYTES :]
        nonce, proof = answer[:NONCE_BYTES], answer[NONCE_BYTES:]
        expected = proof_of(self._key, self._nonce)
        if frame.command != SESS_KEY_NEG_RESP or not hmac.compare_digest(proof, expected):
            self.evidence.garbled = True
            return
        self.outbox += self._pack(SESS_KEY_NEG_FINISH, proof_of(self._key, nonce))
        self._codec.use(session_key(self.version, self._key, self._nonce, nonce))
        self.agreed = True

    def _parse(self, frame: Frame) -> Message | None:
        if not frame.payload:
            return Message(frame.command, frame.sequence)
        try:
            text = frame.payload.decode()
        except UnicodeDecodeError:
            self.evidence.garbled = True
            return None
        try:
            said = _DECODER.decode(text)
        except (ValueError, RecursionError):
            return self._parse_words(frame, text)
        return self._read(frame, said)

    def _parse_words(self, frame: Frame, text: str) -> Message | None:
        """Treat a payload that is not JSON as an error text if readable, else as another key's."""
        if not text.isprintable() or not text.isascii():
            self.evidence.garbled = True
            return None
        self.evidence.refusal = text[:LONGEST_REFUSAL]
        return Message(frame.command, frame.sequence, refusal=self.evidence.refusal)

    def _read(self, frame: Frame, said: object) -> Message | None:
        outer = said if isinstance(said, dict) else {}
        inner = outer.get("data")
        inner = inner if isinstance(inner, dict) else {}
        if not self._is_ours(outer.get("devId")) or not self._is_ours(inner.get("devId")):
            self.evidence.stranger = True
            return None
        return Message(
            frame.command,
            frame.sequence,
            _datapoints(outer.get("dps")) or _datapoints(inner.get("dps")),
            _text(outer.get("cid")) or _text(inner.get("cid")),
            _moment(outer.get("t"), inner.get("t")),
        )

    def _is_ours(self, device_id: object) -> bool:
        return not device_id or device_id in self._ids

    def _ask(self, command: int, said: dict[str, Any], cid: str) -> bytes:
        text = _ENCODER.encode(said | ({"cid": cid} if cid else {}))
        return self._pack(command, text.encode())

    def _pack(self, command: int, payload: bytes) -> bytes:
        self._sequence += 1
        return self._codec.pack(command, payload, self._sequence)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _datapoints(said: object) -> dict[str, Any]:
    """Return the datapoints that have a valid id and a plain value."""
    if not isinstance(said, dict):
        return {}
    return {
        name: value
        for name, value in said.items()
        if (type(value) in _PLAIN or (isinstance(value, float) and math.isfinite(value)))
        and _is_id(name)
    }


@lru_cache(maxsize=1024)
def _is_id(name: str) -> bool:
    return (
        name.isascii() and name.isdecimal() and len(name) <= LONGEST_ID and int(name) <= LARGEST_ID
    )


def _text(said: object) -> str:
    return said if isinstance(said, str) else ""


def _moment(*said: object) -> int | None:
    return next((time_ for time_ in said if isinstance(time_, int) and time_), None)


def _now() -> str:
    return str(int(time.time()))
