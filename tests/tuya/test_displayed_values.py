"""What users of other software reported about energy meters, read here from a device on a socket.

Each device sends what the report says that it sent; what must come is what its display showed.
"""

import base64

import pytest
from support.tuya_devices import LanReader, a_meter, mock_device

from esquirell.domain.decoding import Decoded
from esquirell.domain.meter import Meter
from esquirell.profiles.choices import Choices


def read(transport: LanReader, dps: dict[str, object], product: str = "") -> Decoded:
    """Read a device that holds these datapoints, as a meter of which at most the product is known.

    Returns what its second answer means, as a guess may take the first to be made.
    """
    with mock_device("3.4", dps=dps) as device:
        fields = a_meter(device.port, "3.4").model_dump() | {
            "profile": "auto",
            "product_id": product,
        }
        meter, choices = Meter.model_validate(fields), Choices()
        for _ in range(2):
            decoded = choices.decode(meter, transport.dps(meter))
    return decoded


def frame(*numbers: tuple[int, int]) -> str:
    return base64.b64encode(b"".join(n.to_bytes(size) for n, size in numbers)).decode()


LOADED = frame((2300, 2), (5217, 3), (750, 3))
# make-all/tuya-local #2214: 7.64 kWh where the display says 76.43.
HUNDREDTHS = {"1": 7643, "6": LOADED, "9": 0, "11": False, "13": 0, "15": 0, "16": True}
# codetheweb/tuyapi #121: DP 22 passes for the power; 21 to 25 are calibrations.
CALIBRATED = {"1": True, "9": 0, "17": 21, "18": 222, "19": 423, "20": 2305, "21": 1} | {
    "22": 613, "23": 34400, "24": 19446, "25": 2150, "26": 0, "38": "memory"
}  # fmt: skip
# rospogrigio/localtuya #2216, make-all/tuya-local #3152: a charger that sends JSON has no values.
CHARGER = {
    "101": 300,
    "102": '{"L1":[2270,61,13],"L2":[2270,0,0],"L3":[2270,0,0],"t":280,"p":13,"d":35550,"e":16}',
    "107": "[6, 8, 10, 13, 16]",
    "109": "WORKING",
    "150": 6,
    "152": 16,
}
# make-all/tuya-local #2063: a clamp that exports shows its power as if it were drawn.
EXPORTING = {"101": 12181, "102": "REVERSE", "105": 0, "106": 0, "107": 610, "108": 0} | {
    "109": 0, "110": 91, "111": 4909, "112": 2372, "113": 5608, "114": 0, "115": -12181,
    "116": 1000, "117": 1000, "118": 1000, "119": 1000, "121": 100, "129": 10, "131": 610,
}  # fmt: skip
# Koenkk/zigbee2mqtt #18603: 429,496,420 W of all and 38,606 W of one phase while it exports.
UNSIGNED = {"101": 2360, "102": 1282, "103": -140, "104": 46, "111": 2398, "112": 1416} | {
    "113": -317, "114": 94, "121": 2376, "122": 1099, "123": -24, "124": 12, "131": 106421,
    "132": 3797, "133": 4294966812, "135": 50,
}  # fmt: skip


@pytest.mark.parametrize(
    ("dps", "product", "values"),
    [
        (HUNDREDTHS, "", {"energy_import": 76.43, "active_power_a": 750}),
        (CALIBRATED, "", {"voltage": 230.5, "current": 0.222, "active_power": 42.3}),
        (CHARGER, "", {"active_power": 1300, "current_a": 6.1, "voltage_a": 227}),
        (EXPORTING, "", {"active_power": -1218.1, "active_power_a": -1218.1}),
        (UNSIGNED, "gqmmtjclqb7reg5p", {"active_power_a": -140, "active_power": -484}),
    ],
)  # fmt: skip
def test_a_meter_says_what_its_display_shows(
    transport: LanReader, dps: dict[str, object], product: str, values: dict[str, float]
) -> None:
    decoded = read(transport, dps, product)
    assert {key: decoded.values.get(key) for key in values} == pytest.approx(values)
    # Nothing is beyond what the connection of a house has.
    powers = [v for key, v in decoded.values.items() if key.startswith("active_power")]
    assert all(abs(watts) < 50_000 for watts in powers)


def test_a_session_of_a_charger_is_no_counter(transport: LanReader) -> None:
    """make-all/tuya-local #3152: `e` begins at zero with each car, and so would the total."""
    keys = read(transport, CHARGER).values.keys()
    assert not [key for key in keys if key.startswith("energy")]
