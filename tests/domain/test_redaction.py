"""What is taken out of raw datapoints before others see them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.services.capture import REDACTED, redacted

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
def test_values_that_may_identify_a_device_are_removed(raw: object) -> None:
    assert redacted({"18": raw}, {}, [DEVICE_ID]) == {"18": REDACTED}


@pytest.mark.parametrize("code", ["meter_id", "breaker_number", "imei_imsi", "sn", "device_name"])
def test_a_code_that_names_a_device_is_enough(code: str) -> None:
    assert redacted({"19": "cellar"}, {"19": {"code": code}}, []) == {"19": REDACTED}
    assert redacted({code: "cellar"}, {}, []) == {code: REDACTED}


@pytest.mark.parametrize(
    "code",
    ["phone", "password", "pwd", "wifi_ssid", "ip_addr", "access_token", "user_name", "card_no",
     "iccid", "mac", "local_key", "serialNumber"],
)  # fmt: skip
def test_names_of_secrets_and_owners_are_enough(code: str) -> None:
    assert redacted({"19": "abc"}, {"19": {"code": code}}, []) == {"19": REDACTED}


@pytest.mark.parametrize("code", ["phase_a", "video", "keypad_mode", "tokens_left", "nickname_on"])
def test_names_that_only_look_like_those_stay(code: str) -> None:
    assert redacted({"19": "abc"}, {"19": {"code": code}}, []) == {"19": "abc"}


@pytest.mark.parametrize(
    ("raw", "stays"), [(10**10 - 1, True), (10**10, False), (-(10**11), False)]
)
def test_numbers_longer_than_any_measurement_go(raw: int, stays: bool) -> None:
    assert redacted({"101": raw}, {}, []) == {"101": raw if stays else REDACTED}


def test_each_secret_is_enough_by_itself() -> None:
    secrets = ["bf0123456789abcdefghij", "", "mysecretkey12345"]
    for text in ("MySecretKey12345", "bf0123456789abcdefghij"):
        assert redacted({"101": text}, {}, secrets) == {"101": REDACTED}
    assert redacted({"101": "online"}, {}, secrets) == {"101": "online"}


def test_secrets_inside_lists_and_objects_are_removed_alone() -> None:
    raw = {"phase": [2301, 10**12], "sn": "A1", "mode": "on"}
    assert redacted({"101": raw}, {}, []) == {
        "101": {"phase": [2301, REDACTED], "sn": REDACTED, "mode": "on"}
    }


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists)))
def test_the_shape_of_any_answer_is_kept(dps: dict[str, object]) -> None:
    kept = redacted(dps, {}, [DEVICE_ID])
    assert kept.keys() == dps.keys()
    assert redacted(kept, {}, [DEVICE_ID]) == kept
