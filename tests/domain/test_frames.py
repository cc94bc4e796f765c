import base64
import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import MISREAD, Hint, Unpacked, unpack, with_suffix
from esquirell.domain.frames.codecs import CODECS
from esquirell.domain.frames.phase import current_and_power

ONE_PHASE = {"voltage": 233.8, "current": 5.62, "active_power": 1185}
PHASE = Hint("phase_a")


def packed(*numbers: tuple[int, int]) -> str:
    """Pack pairs of number and length, big-endian, as a device does."""
    return base64.b64encode(b"".join(n.to_bytes(size) for n, size in numbers)).decode()


def little(*numbers: int) -> str:
    frame = b"".join(n.to_bytes(4, "little", signed=True) for n in numbers)
    return base64.b64encode(frame + b"\0").decode()


VIP = ((2338, 2), (5620, 3), (1185, 3))
V02 = ((0x020F, 2), *VIP, (120, 3), (1313, 3), (90, 1))


@pytest.mark.parametrize(
    ("raw", "hint", "fields"),
    [
        (packed(*VIP), PHASE, ONE_PHASE),
        (packed((2338, 2), (5620, 3), (1185, 2)), PHASE, ONE_PHASE),
        (packed(*VIP, (0, 2)), PHASE, ONE_PHASE),
        (packed(*VIP, (12, 2)), PHASE, ONE_PHASE | {"leakage_current": 0.012}),
        (packed((2338, 3), (5620, 3), (1185, 3)), PHASE, ONE_PHASE),
        (packed((2338, 3), (5620, 3), (1185, 3), (7, 2)), PHASE, ONE_PHASE),
        # Hex text under a code that does not announce it, and without a load.
        ("09220015F40004A1", PHASE, ONE_PHASE),
        ("09220015f40004a10000", PHASE, ONE_PHASE),
        ("0" * 16, PHASE, dict.fromkeys(ONE_PHASE, 0)),
        # Chargers that keep other things in the high bytes.
        (packed((2338, 2), (0x2015F4, 3), (0x1004A1, 3)), PHASE, ONE_PHASE),
        # A current above 65.5 A and a power above 65.5 kW are what they are.
        (
            packed((2300, 2), (300_000, 3), (69_000, 3)),
            PHASE,
            {"voltage": 230, "current": 300, "active_power": 69_000},
        ),
        (
            packed((0x010F, 2), *VIP, (120, 3), (1313, 3), (90, 1)),
            PHASE,
            ONE_PHASE | {"reactive_power": 120, "apparent_power": 1313, "power_factor": 0.9},
        ),
        (
            packed(*V02, (0b1110, 1)),
            PHASE,
            {
                "voltage": 233.8,
                "current": 5.62,
                "active_power": -1185,
                "reactive_power": -120,
                "apparent_power": 1313,
                "power_factor": -0.9,
            },
        ),
        # DTS238: reverse flow, then TOMZN's hundredths of an ampere.
        (
            packed((1, 1), (1185, 3), (0, 1), (120, 3), (900, 2), (5620, 3), (2338, 2)),
            PHASE,
            ONE_PHASE | {"active_power": -1185, "reactive_power": 120, "power_factor": 0.9},
        ),
        (
            packed((0, 1), (1185, 3), (0, 1), (0, 3), (0, 2), (562, 3), (2338, 2)),
            PHASE,
            ONE_PHASE,
        ),
        (
            packed((0, 1), (3, 3), (0, 1), (0, 3), (0, 2), (1, 3), (2300, 2)),
            PHASE,
            {"voltage": 230, "current": 0.01, "active_power": 3},
        ),
        (
            packed(*VIP, (1200, 3), (900, 2), (50_010, 2)),
            Hint("phase_a"),
            ONE_PHASE | {"reactive_power": 120, "power_factor": 0.9, "frequency": 50.01},
        ),
        # Micro inverters: milliwatts or watts, told by voltage x current; the last is a frequency.
        (
            packed((2419, 2), (317, 3), (85_560, 3), (500, 2)),
            Hint("phase_a", inverter=True),
            {"voltage": 241.9, "current": 0.317, "active_power": 85.56, "frequency": 50},
        ),
        (
            packed((2300, 2), (1500, 3), (345, 3), (500, 2)),
            PHASE,
            {"voltage": 230, "current": 1.5, "active_power": 345, "frequency": 50},
        ),
        # Panels: tenths of a watt, watts, tens of watts.
        *(
            (
                packed((350, 2), (52, 2), (power, 2)),
                Hint("pv1_dc_data"),
                {"voltage": 35, "current": 5.2, "active_power": watts},
            )
            for power, watts in ((1821, 182.1), (182, 182), (18, 180))
        ),
        (
            packed((2301, 2), (2302, 2), (2303, 2)),
            Hint("phase_voltage"),
            {"voltage_a": 230.1, "voltage_b": 230.2, "voltage_c": 230.3},
        ),
        (
            packed((1001, 3), (1002, 3), (1003, 3)),
            Hint("phase_current"),
            {"current_a": 1.001, "current_b": 1.002, "current_c": 1.003},
        ),
        (
            packed((60, 3), (10, 3), (20, 3), (30, 3)),
            Hint("phase_power"),
            {"active_power": 6, "active_power_a": 1, "active_power_b": 2, "active_power_c": 3},
        ),
        (little(2338, 5620, -1185), Hint("x"), ONE_PHASE | {"active_power": -1185}),
        (
            packed((2, 1), (380, 2), (50, 2), (190, 2), (381, 2), (512, 2), (195, 2)),
            Hint("pv"),
            {
                "voltage_1": 38,
                "current_1": 5,
                "active_power_1": 190,
                "voltage_2": 38.1,
                "current_2": 5.12,
                "active_power_2": 195,
            },
        ),
        (
            '{"voltage":233.8,"electricCurrent":5.62,"power":1.185,"powerFactor":0.9}',
            PHASE,
            ONE_PHASE | {"power_factor": 0.9},
        ),
        ({"voltage": 233.8, "electricCurrent": 5.62, "power": 1.185}, PHASE, ONE_PHASE),
        (
            '{"L1":[2340,160,37],"L2":[2341,0,0],"t":280,"p":0,"d":64940,"e":122}',
            Hint("dp"),
            {
                "voltage_a": 234,
                "current_a": 16,
                "active_power_a": 3700,
                "voltage_b": 234.1,
                "current_b": 0,
                "active_power_b": 0,
                "temperature": 28,
            },
        ),
        # `p` is the power of all lines where it is what they add up to.
        (
            '{"L1":[2340,160,37],"L2":[2341,80,19],"p":56}',
            Hint("dp"),
            {
                "voltage_a": 234,
                "current_a": 16,
                "active_power_a": 3700,
                "voltage_b": 234.1,
                "current_b": 8,
                "active_power_b": 1900,
                "active_power": 5600,
            },
        ),
        (
            '{"L1":[2340,0,0],"p":0}',
            Hint("dp"),
            {"voltage_a": 234, "current_a": 0, "active_power_a": 0, "active_power": 0},
        ),
        (base64.b64decode(packed(*V02, (0, 1))).hex().upper(), Hint("phase_s1"), None),
        ("", PHASE, {}),
        (None, PHASE, {}),
        (packed((0, 2), (0, 3), (0, 3)), PHASE, dict.fromkeys(ONE_PHASE, 0)),
    ],
)
def test_frames(raw: object, hint: Hint, fields: Mapping[str, float] | None) -> None:
    found = unpack("auto", raw, hint)
    assert found.note == ""
    if fields is None:
        assert {name: found.fields[name] for name in ONE_PHASE} == ONE_PHASE
    else:
        assert found.fields == pytest.approx(dict(fields))


@pytest.mark.parametrize(
    ("current", "power", "amperes", "watts"),
    [
        (500, 75, 0.5, 75),
        (500, 0x80004B, 0.5, -75),
        (0x8001F4, 0x80004B, 0.5, -75),
        (500, 0xFFFFB5, 0.5, -75),
        (0xFFFE0C, 0xFFFFB5, 0.5, -75),
        (500, 0x19999A - 75, 0.5, -75),
        (500, 0x99999A - 75, 0.5, -75),
        (146, 0x999986, 0.146, -20),
        (20_000, 0x19999A - 3000, 20, -3000),
        (300_000, 69_000, 300, 69_000),
        # A sign of the current alone says nothing of the power.
        (0x8001F4, 75, 0.5, 75),
        # Standby: almost nothing flows, in either direction.
        (0, 0x800003, 0, -3),
        (0, 3, 0, 3),
    ],
)
@pytest.mark.parametrize("more", [(), ((0, 2),)], ids=["8 bytes", "10 bytes"])
def test_a_sign_is_written_in_several_ways(
    current: int, power: int, amperes: float, watts: float, more: tuple[tuple[int, int], ...]
) -> None:
    found = unpack("auto", packed((2300, 2), (current, 3), (power, 3), *more), PHASE)
    assert found == Unpacked({"voltage": 230, "current": amperes, "active_power": watts})


def test_a_power_that_can_be_read_in_two_ways_is_left_out() -> None:
    """As 1,200,000 W it is far too much; both ways to write a sign make it one of these 3000 A."""
    both = {current_and_power(230.0, current, 0xC00000) for current in (500, 20_000)}
    assert both == {(500, 0xC00000), (20_000, 0xC00000)}
    found = unpack("auto", packed((2300, 2), (0x2101F4, 3), (0x80004B, 3)), PHASE)
    assert found.fields["active_power"] == 75
    high = unpack("auto", packed((50_000, 2), (655_000, 3), (0xC00000, 3)), PHASE)
    assert "active_power" in high.fields


@pytest.mark.parametrize(
    "raw",
    [
        packed(*V02[:3], (0, 1)),
        {"voltage": 52.7, "electricCurrent": 0x092200 / 1000, "power": 0x15F400 / 1000},
    ],
)
def test_a_header_that_was_taken_for_a_voltage_is_put_right(raw: object) -> None:
    found = unpack("auto", raw, PHASE)
    assert found.fields == {"voltage": 233.8, "current": pytest.approx(5.62, abs=0.001)}
    assert found.note == MISREAD


def test_52_volts_of_a_panel_are_52_volts() -> None:
    found = unpack("inverter-dc-6", packed((527, 2), (10, 2), (527, 2)), Hint("pv1_dc_data"))
    assert found.fields["voltage"] == 52.7


def test_sixteen_circuits() -> None:
    frame = b"".join((100 * n).to_bytes(4, "little") + b"\0" for n in range(16)) + b"\0"
    raw = base64.b64encode(frame).decode()
    assert unpack("earu-le-81-powers", raw).fields["active_power_16"] == 1500
    assert unpack("earu-le-81-currents", raw).fields["current_2"] == 0.1


@pytest.mark.parametrize(
    "raw",
    [
        "not base64!",
        "AAA=",
        "03" * 18,
        packed((0x030F, 2), (0, 16)),
        packed((2338, 2), (0, 10)),
        packed((0xFFFFFFFF, 4), (0, 2)),
        5,
        True,
        [1],
        "{",
        "{}",
        '{"voltage": "high"}',
        '{"voltage": NaN}',
        '{"L1": [1]}',
        "A" * 5000,
    ],
)
def test_malformed_frames_are_refused(raw: object) -> None:
    with pytest.raises(DecodeError):
        unpack("auto", raw, PHASE)


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(DecodeError, match="not a v02-18 frame"):
        unpack("v02-18", packed(*VIP))


@given(st.sampled_from(["auto", *CODECS]), st.binary(max_size=90), st.booleans())
def test_any_bytes_are_a_frame_or_refused(name: str, frame: bytes, inverter: bool) -> None:
    try:
        found = unpack(name, base64.b64encode(frame).decode(), Hint("phase_a", inverter))
    except DecodeError:
        return
    assert all(isinstance(value, int | float) for value in found.fields.values())


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
documents = st.dictionaries(
    st.sampled_from(["voltage", "electricCurrent", "power", "L1", "L2", "t", "x"]),
    scalars | st.lists(scalars, max_size=4),
)


@given(documents | scalars | st.text(max_size=60))
def test_anything_is_a_frame_or_refused(raw: object) -> None:
    with contextlib.suppress(DecodeError):
        unpack("auto", raw, PHASE)


@pytest.mark.parametrize(
    ("key", "suffix", "whole"),
    [
        ("voltage", "a", "voltage_a"),
        ("voltage", "", "voltage"),
        ("voltage_b", "", "voltage_b"),
        ("voltage_1", "pv", "voltage_pv1"),
        ("active_power_c", "", "active_power_c"),
    ],
)
def test_suffixes(key: str, suffix: str, whole: str) -> None:
    assert with_suffix(key, suffix) == whole
