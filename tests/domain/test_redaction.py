"""What is taken out of raw datapoints before others see them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.redaction import REDACTED, redacted

DEVICE_ID = "bf0123456789abcdefghij"


@pytest.mark.parametrize(
    "raw",
    [
        2301,
        -14,
        True,
        None,
        1.5,
        "",
        "online",
        "cloud_net",
        "Max32A",
        "0",
        # Packed frames of several families.
        "CKMAAn0AAGw=",
        "AQEAPAMBAP0EAQC0BQEAAAcBAAAIAQAeCQAAAA==",
        "CXMAAT0BTjgB9A==",
        "APgAHQLV",
        "020F08FD00D26400254C0000000000004D00",
        '{"L1":[2340,0,0],"t":280,"p":0,"d":64940}',
    ],
)
def test_measurements_stay(raw: object) -> None:
    assert redacted({"6": raw}, {}, [DEVICE_ID]) == {"6": raw}


@pytest.mark.parametrize(
    "raw",
    [
        DEVICE_ID,
        f"x-{DEVICE_ID.upper()}",
        "202311813370",
        "360611313339353939133275",
        "FSE-F723C46A04FC6C",
        "SPM01_63DF",
        "192.168.1.50",
        "a1:b2:c3:d4:e5:f6",
        "me@example.org",
        1763803200123,
        "NDUwMTIzOTg3NjU0",  # 450123987654 in base64
        json.dumps({"sn": "A1", "ip": "192.168.1.50"}),
        "{" * 9999,
        "\ud800",
    ],
)
def test_what_may_name_a_device_goes(raw: object) -> None:
    assert redacted({"18": raw}, {}, [DEVICE_ID]) == {"18": REDACTED}


@pytest.mark.parametrize("code", ["meter_id", "breaker_number", "imei_imsi", "sn", "device_name"])
def test_a_code_that_names_a_device_is_enough(code: str) -> None:
    assert redacted({"19": "cellar"}, {"19": {"code": code}}, []) == {"19": REDACTED}
    assert redacted({code: "cellar"}, {}, []) == {code: REDACTED}


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists)))
def test_the_shape_stays_whatever_comes(dps: dict[str, object]) -> None:
    kept = redacted(dps, {}, [DEVICE_ID])
    assert kept.keys() == dps.keys()
    assert redacted(kept, {}, [DEVICE_ID]) == kept
