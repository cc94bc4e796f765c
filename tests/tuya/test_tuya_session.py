"""The protocol without I/O: whatever comes, nothing is believed that the device did not say."""

import ast
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tuya_devices import DEVICE_ID, KEY, OTHER_KEY

from esquirell import tuya
from esquirell.tuya.lan.codec import LONGEST_FRAME, Codec, FrameBuffer, proof_of, session_key
from esquirell.tuya.lan.session import Session
from esquirell.tuya.tinytuya_import import (
    DP_QUERY,
    DP_QUERY_NEW,
    HEART_BEAT,
    SESS_KEY_NEG_RESP,
    STATUS,
    UPDATEDPS,
)

VERSIONS = ("3.1", "3.2", "3.3", "3.4", "3.5")
NONCE = b"fedcba9876543210"


class Wire:
    """A session that has agreed on a key, and the device's side of it."""

    def __init__(self, version: str) -> None:
        key = KEY.encode()
        self.session = Session(version, key, DEVICE_ID, (DEVICE_ID, "child"))
        self.codec = Codec(version, key)
        self.sequence = 0
        if not self.session.agreed:
            hello = self.codec.unpack(self.session.start()).payload
            self.session.feed(self.frame(SESS_KEY_NEG_RESP, NONCE + proof_of(key, hello)))
            assert self.codec.unpack(self.session.outbox).payload == proof_of(key, NONCE)
            self.codec.use(session_key(version, key, hello, NONCE))
        assert self.session.agreed

    def frame(self, command: int, said: object = b"") -> bytes:
        self.sequence += 1
        payload = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self.codec.pack(command, payload, self.sequence, answers=True)


@pytest.fixture(params=VERSIONS)
def wire(request: pytest.FixtureRequest) -> Wire:
    return Wire(request.param)


@pytest.mark.parametrize("command", [DP_QUERY, DP_QUERY_NEW, STATUS, UPDATEDPS])
@pytest.mark.parametrize("wrapped", [True, False])
def test_datapoints_are_understood_under_every_command(
    wire: Wire, command: int, *, wrapped: bool
) -> None:
    dps = {"18": 5, "6": "AAAhqAAAAAA="}
    said = {"protocol": 4, "t": 17, "data": {"dps": dps}} if wrapped else {"t": 17, "dps": dps}
    (message,) = wire.session.feed(wire.frame(command, said))
    assert (message.dps, message.at, message.command) == (dps, 17, command)
    assert message.is_report == (command == STATUS)


def test_a_device_is_asked_and_never_told_anything(wire: Wire) -> None:
    session = wire.session
    builders = {
        name
        for name, method in vars(Session).items()
        if not name.startswith("_")
        and getattr(method, "__annotations__", {}).get("return") is bytes
    }
    assert builders == {"start", "query", "query_ids", "refresh", "heartbeat"}
    frames = [session.heartbeat()]
    for cid in ("", "child"):
        frames += [
            session.query(cid),
            session.query_ids(["1", "18"], cid),
            session.refresh([1], cid),
        ]
    for raw in frames:
        payload = wire.codec.unpack(raw).payload
        said = json.loads(payload[payload.index(b"{") :])
        assert set(said.get("dps", {}).values()) <= {None}
        assert said.keys() <= {"gwId", "devId", "uid", "t", "dps", "dpId", "cid"}


def test_an_acknowledgement_says_nothing(wire: Wire) -> None:
    (message,) = wire.session.feed(wire.frame(HEART_BEAT))
    assert (message.dps, message.refusal) == ({}, "")
    assert not wire.session.evidence.garbled


def test_a_refusal_is_quoted(wire: Wire) -> None:
    (message,) = wire.session.feed(wire.frame(DP_QUERY, b"json obj data unvalid"))
    assert message.refusal == wire.session.evidence.refusal == "json obj data unvalid"


@pytest.mark.parametrize("at", ["outside", "inside"])
def test_the_node_id_is_read_at_either_place(wire: Wire, at: str) -> None:
    data = {"dps": {"1": 2}}
    said = {"cid": "B", "data": data} if at == "outside" else {"data": data | {"cid": "B"}}
    (message,) = wire.session.feed(wire.frame(STATUS, said))
    assert message.cid == "B"


def test_answers_of_another_device_are_ignored(wire: Wire) -> None:
    assert wire.session.feed(wire.frame(DP_QUERY, {"devId": "other", "dps": {"1": 2}})) == []
    assert wire.session.evidence.stranger


@pytest.mark.parametrize(
    "dps",
    [
        '{"1": NaN}',
        '{"1": 1e999}',
        '{"x": 1, "-1": 1, "65536": 1, "123456": 1, "\\u0661": 1}',
        '{"1": null, "2": {}, "3": []}',
        "[1, 2]",
        '"text"',
        "[" * 5000,
    ],
)
def test_invalid_values_are_left_out(wire: Wire, dps: str) -> None:
    for message in wire.session.feed(wire.frame(STATUS, f'{{"dps": {dps}}}'.encode())):
        assert message.dps == {}


def test_another_key_opens_nothing(wire: Wire) -> None:
    wire.codec.use(OTHER_KEY.encode())
    said = wire.session.feed(wire.frame(STATUS, b'{"dps": {"1": 2}}'))
    assert wire.session.version == "3.1" or not any(message.dps for message in said)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(VERSIONS), st.randoms(use_true_random=False), st.data())
def test_split_repeated_reordered_and_garbled_frames_give_no_wrong_value(
    version: str, dice: random.Random, data: st.DataObject
) -> None:
    wire = Wire(version)
    frames = [wire.frame(STATUS, {"dps": {str(dp): dp * 11}}) for dp in range(1, 8)]
    stream = b""
    for frame in dice.choices(frames, k=12):
        kind = data.draw(st.sampled_from(["whole", "cut", "flipped", "noise"]))
        if kind == "cut":
            frame = frame[: dice.randrange(len(frame))]  # noqa: PLW2901
        elif kind == "flipped":
            spot = dice.randrange(len(frame))
            frame = frame[:spot] + bytes([frame[spot] ^ 1 << dice.randrange(8)]) + frame[spot + 1 :]  # noqa: PLW2901
        elif kind == "noise":
            stream += dice.randbytes(dice.randrange(40))
        stream += frame
    heard: dict[str, object] = {}
    while stream:
        size = dice.randrange(1, 60)
        for message in wire.session.feed(stream[:size]):
            heard |= message.dps
        stream = stream[size:]
    # A CRC-32 finds each bit that was turned over; in clear 3.1 has nothing else.
    assert all(value == int(name) * 11 for name, value in heard.items())


@given(st.lists(st.binary(max_size=400), max_size=30))
def test_noise_takes_no_more_memory_than_a_frame(pieces: list[bytes]) -> None:
    frames = FrameBuffer()
    for piece in pieces:
        frames.feed(b"\x00\x00\x55\xaa" + piece)
        assert frames.size <= LONGEST_FRAME + 400


def test_after_noise_the_next_frame_is_found(wire: Wire) -> None:
    whole = wire.frame(STATUS, {"dps": {"1": 7}})
    for noise in (b"\x00", b"\x00\x00\x55", b"\x00\x00\x55\xaa", b"\x00\x00\x66\x99" * 3, b"GET /"):
        heard = wire.session.feed(noise + whole)
        assert [message.dps for message in heard] == [{"1": 7}]


def test_only_these_names_of_tinytuya_are_used() -> None:
    """A new release may move what is no documented part of it: then one place has to change."""
    (folder,) = tuya.__path__
    imports = re.compile(r"^ *(import tinytuya|from tinytuya)", re.MULTILINE)
    users = [file for file in Path(folder).rglob("*.py") if imports.search(file.read_text())]
    assert [file.name for file in users] == ["tinytuya_import.py"]
    imported = [
        alias.name
        for node in ast.walk(ast.parse(users[0].read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "tinytuya.core"
        for alias in node.names
    ]
    assert [name for name in imported if not name.isupper() and "PREFIX" not in name] == [
        "AESCipher",
        "DecodeError",
        "TuyaHeader",
        "TuyaMessage",
        "decrypt_udp",
        "pack_message",
        "udpkey",
        "unpack_message",
    ]
    assert not [name for name in imported if name.startswith("_")]
