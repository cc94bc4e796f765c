"""The position of each number in a frame: each byte of a layout counts, and only in its place."""

from contextlib import nullcontext

import pytest

from esquirell.domain.decoding import decode
from esquirell.domain.errors import DecodeError
from esquirell.domain.frames.codecs import CODECS, codec_of
from esquirell.domain.frames.phase import current_and_power
from esquirell.domain.frames.text import charger, phase
from esquirell.domain.plausibility import closest
from esquirell.domain.profile import Datapoint, Profile

# Numbers whose bytes all differ from zero and from each other; W are 0.9 of V x A.
VOLTS, AMPERES, WATTS = (2338, 2), (70_000, 3), (14_729, 3)
MORE_THAN_BYTES = 0x010203


def frame(*numbers: tuple[int, int]) -> bytes:
    return b"".join(number.to_bytes(size) for number, size in numbers)


@pytest.mark.parametrize(
    ("name", "numbers", "fields"),
    [
        (
            "legacy-8",
            (VOLTS, AMPERES, WATTS),
            {"voltage": 233.8, "current": 70.0, "active_power": 14_729},
        ),
        (
            "legacy-7",
            (VOLTS, (1500, 3), (315, 2)),
            {"voltage": 233.8, "current": 1.5, "active_power": 315},
        ),
        (
            "legacy-10",
            (VOLTS, AMPERES, WATTS, (0x0102, 2)),
            {"voltage": 233.8, "current": 70, "active_power": 14_729, "leakage_current": 0.258},
        ),
        (
            "wdyk-4p",
            ((MORE_THAN_BYTES, 3), (0x040506, 3), (0x070809, 3)),
            {"voltage": 6605.1, "current": 263.43, "active_power": 460_809},
        ),
        (
            "v01-17",
            ((0x010F, 2), VOLTS, AMPERES, WATTS, (MORE_THAN_BYTES, 3), (0x040506, 3), (97, 1)),
            {
                "voltage": 233.8,
                "current": 70,
                "active_power": 14_729,
                "reactive_power": 66_051,
                "apparent_power": 263_430,
                "power_factor": 0.97,
            },
        ),
        (
            "dts-15",
            ((1, 1), WATTS, (1, 1), (MORE_THAN_BYTES, 3), (0x03A5, 2), AMPERES, VOLTS),
            {
                "voltage": 233.8,
                "current": 70,
                "active_power": -14_729,
                "reactive_power": -66_051,
                "power_factor": 0.933,
            },
        ),
        # Of direction bytes one bit counts.
        (
            "dts-15",
            ((2, 1), WATTS, (2, 1), (MORE_THAN_BYTES, 3), (0x03A5, 2), AMPERES, VOLTS),
            {
                "voltage": 233.8,
                "current": 70,
                "active_power": 14_729,
                "reactive_power": 66_051,
                "power_factor": 0.933,
            },
        ),
        (
            "earu-15",
            (VOLTS, AMPERES, WATTS, (MORE_THAN_BYTES, 3), (0x03A5, 2), (50_010, 2)),
            {
                "voltage": 233.8,
                "current": 70,
                "active_power": 14_729,
                "reactive_power": 6605.1,
                "power_factor": 0.933,
                "frequency": 50.01,
            },
        ),
        ("inverter-dc-6", ((388, 2), (98, 2), (3802, 2)), (38.8, 9.8, 380.2)),
        ("inverter-dc-6", ((388, 2), (98, 2), (380, 2)), (38.8, 9.8, 380)),
        ("inverter-dc-6", ((388, 2), (98, 2), (38, 2)), (38.8, 9.8, 380)),
        ("inverter-ac-10", (VOLTS, (1500, 3), (350_700, 3), (501, 2)), (233.8, 1.5, 350.7, 50.1)),
        ("inverter-ac-10", (VOLTS, (70_000, 3), (16_366, 3), (501, 2)), (233.8, 70, 16_366, 50.1)),
        (
            "lidl-13",
            ((1, 1), (388, 2), (98, 2), (380, 2), (412, 2), (1020, 2), (420, 2)),
            {
                "voltage_1": 38.8,
                "current_1": 9.8,
                "active_power_1": 380,
                "voltage_2": 41.2,
                "current_2": 10.2,
                "active_power_2": 420,
            },
        ),
    ],
)
def test_each_number_is_read_from_its_bytes(
    name: str, numbers: tuple[tuple[int, int], ...], fields: dict[str, float] | tuple[float, ...]
) -> None:
    if isinstance(fields, tuple):
        names = ("voltage", "current", "active_power", "frequency")
        fields = dict(zip(names, fields, strict=False))
    assert CODECS[name].unpack(frame(*numbers)) == pytest.approx(fields)


@pytest.mark.parametrize(
    ("bits", "negative"),
    [
        (0b0001, {"current"}),
        (0b0010, {"active_power"}),
        (0b0100, {"reactive_power"}),
        (0b1000, {"power_factor"}),
        (0b1111, {"current", "active_power", "reactive_power", "power_factor"}),
        (0b10000, set()),
    ],
)
def test_each_sign_has_its_own_bit(bits: int, negative: set[str]) -> None:
    numbers = (
        (0x020F, 2),
        VOLTS,
        AMPERES,
        WATTS,
        (MORE_THAN_BYTES, 3),
        (0x040506, 3),
        (97, 1),
        (bits, 1),
    )
    fields = CODECS["v02-18"].unpack(frame(*numbers))
    assert {name for name, value in fields.items() if value < 0} == negative


@pytest.mark.parametrize(
    ("volts", "raw", "watts", "amperes"),
    [
        # Without Q and PF the scale is the one that physics allows.
        (2300, 1000, 230, 1.0),
        (2300, 1000, 345, 1.0),
        (2300, 1000, 346, 10.0),
        (2300, 1000, 2300, 10.0),
        # Without a voltage the highest of a grid stands for it.
        (0, 1000, 750, 1.0),
        (0, 1000, 751, 10.0),
        (2300, 0, 500, 0.0),
    ],
)
def test_hundredths_of_an_ampere_are_distinguished_from_thousandths(
    volts: int, raw: int, watts: int, amperes: float
) -> None:
    numbers = ((0, 1), (watts, 3), (0, 1), (0, 3), (0, 2), (raw, 3), (volts, 2))
    fields = CODECS["dts-15"].unpack(frame(*numbers))
    assert fields["current"] == amperes


@pytest.mark.parametrize(
    ("length", "content", "code", "inverter", "codec"),
    [
        (10, {8: (450, 2)}, "phase_a", False, "inverter-ac-10"),
        (10, {8: (650, 2)}, "phase_a", False, "inverter-ac-10"),
        (10, {8: (449, 2)}, "phase_a", False, "legacy-10"),
        (10, {8: (651, 2)}, "phase_a", False, "legacy-10"),
        (10, {}, "phase_a", True, "inverter-ac-10"),
        (15, {0: (800, 2), 13: (45_000, 2)}, "phase_a", False, "earu-15"),
        (15, {0: (4999, 2), 13: (65_000, 2)}, "phase_a", False, "earu-15"),
        (15, {0: (0x0102, 2), 13: (50_000, 2)}, "phase_a", False, "dts-15"),
        (15, {0: (1, 1), 4: (1, 1), 13: (2300, 2)}, "phase_a", False, "dts-15"),
        (15, {0: (2300, 2), 13: (2300, 2)}, "phase_a", False, None),
        (15, {4: (2, 1)}, "phase_a", False, None),
        (13, {}, "phase_a", False, "earu-le-13"),
        (13, {0: (0x20030000, 4)}, "phase_a", False, "earu-le-13"),
        (13, {0: (0x1F030000, 4)}, "phase_a", False, None),
        (13, {0: (15, 1), 1: (0x0102, 2)}, "phase_a", False, "lidl-13"),
        (13, {0: (16, 1), 1: (0x0102, 2)}, "phase_a", False, None),
        (12, {}, "power_all", False, "powers-12"),
        (12, {}, "phase_b", False, None),
        (12, {}, "phase_s1", False, None),
        (9, {}, "all_current", False, "currents-9"),
        (9, {}, "bat_i", False, "currents-9"),
        (9, {}, "phase_a", False, "wdyk-4p"),
        (6, {}, "pv1_data", False, "inverter-dc-6"),
        (6, {}, "BAT_data", False, "inverter-dc-6"),
        (6, {}, "Voltage", False, "voltages-6"),
        (6, {}, "phase_a", False, None),
        (7, {}, "x", False, "legacy-7"),
        (8, {}, "x", False, "legacy-8"),
        (11, {}, "x", False, "wdyk-4p"),
        (17, {0: (0x010F, 2)}, "x", False, "v01-17"),
        (18, {0: (0x020F, 2)}, "x", False, "v02-18"),
        (17, {0: (0x020F, 2)}, "x", False, None),
    ],
)
def test_a_layout_is_chosen_by_length_content_and_code(
    length: int,
    content: dict[int, tuple[int, int]],
    code: str,
    inverter: bool,
    codec: str | None,
) -> None:
    octets = bytearray(length)
    for start, (number, size) in content.items():
        octets[start : start + size] = number.to_bytes(size)
    with nullcontext() if codec else pytest.raises(DecodeError):
        assert codec_of(bytes(octets), code, inverter=inverter) == codec


@pytest.mark.parametrize(
    ("apparent", "powers", "index"),
    [
        (100, [10, 100, 1000], 1),
        (100, [98, 103], 0),
        (100, [97, 102], 1),
        (100, [50, 200], 0),
        (100, [-100, 90], 0),
        (100, [0, 100], 0),
        (0, [1, 5], 0),
        (-5, [9, 5], 0),
    ],
)
def test_the_power_that_fits_best_is_chosen(
    apparent: float, powers: list[float], index: int
) -> None:
    assert closest(apparent, powers) == index


@pytest.mark.parametrize(
    ("line", "amperes", "watts"),
    [
        # 0.1 A and 0.1 kW, 0.1 A and W, mA and W.
        ([2300, 100, 23], 10, 2300),
        ([2300, 100, 2300], 10, 2300),
        ([2300, 10_000, 2300], 10, 2300),
        ([2300, 0, 0], 0, 0),
    ],
)
def test_a_charger_counts_in_the_scale_at_which_its_line_agrees(
    line: list[int], amperes: float, watts: float
) -> None:
    found = charger({"L2": line, "t": 253})
    assert found == {
        "voltage_b": 230,
        "current_b": amperes,
        "active_power_b": watts,
        "temperature": 25.3,
    }


@pytest.mark.parametrize("unread", [None, "1.9", [19], True])
def test_a_charger_whose_total_or_temperature_is_no_number_has_its_lines(unread: object) -> None:
    alone = charger({"L1": [2300, 80, 19]})
    assert charger({"L1": [2300, 80, 19], "p": unread, "t": unread}) == alone


def test_a_current_beyond_a_house_is_read_as_something_else() -> None:
    assert current_and_power(230, 655_350, 100_000) == (655_350, 100_000)
    assert current_and_power(230, 0x0A0000 | 5000, 1100)[0] == 5000


def test_each_field_of_the_cloud_s_phase_has_its_unit() -> None:
    """Powers in thousands, and what a phase does not say is absent."""
    names = ("voltage", "electricCurrent", "power", "reactivePower", "apparentPower", "powerFactor")
    sent = dict(zip(names, (231.5, 5.25, 1.2, 0.3, 1.3, 0.92), strict=True))
    assert phase(sent) == {
        "voltage": 231.5,
        "current": 5.25,
        "active_power": 1200,
        "reactive_power": 300,
        "apparent_power": 1300,
        "power_factor": 0.92,
    }
    assert phase({"power": 0.5, "voltage": None}) == {"active_power": 500}
    with pytest.raises(DecodeError, match="has no phase"):
        phase({"voltage": None})


def test_a_document_of_all_lines_is_of_no_phase_whatever_its_datapoint_is_called() -> None:
    point = Datapoint(code="phase_b", frame="auto", suffix="b")
    raw = '{"L1":[2340,160,37],"L2":[2341,0,0],"L3":[2342,0,0],"t":280,"p":37}'
    lines = Profile(name="lines", title="Lines", datapoints={"7": point})
    values = decode({"7": raw}, lines).values
    assert (values["temperature"], values["active_power"]) == (28, 3700)
    assert (values["voltage_a"], values["voltage_b"]) == (234, 234.1)
    assert not {"temperature_b", "voltage"} & values.keys()
