from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell import profiles
from esquirell.domain.decoding import decode
from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Profile

PC321 = profiles.find("owon_pc321")
PLUG = profiles.find("plug")


def test_a_partial_answer_stays_partial() -> None:
    decoded = decode({"133": 367}, PC321)
    assert decoded.values == {"active_power": 367}


def test_scales_divide() -> None:
    decoded = decode({"131": 777, "101": 2362, "102": 1282, "104": 46}, PC321)
    assert decoded.values == {
        "energy_import": 7.77,
        "voltage_a": 236.2,
        "current_a": 1.282,
        "power_factor_a": 0.46,
    }


def test_values_that_measure_nothing_are_diagnostics() -> None:
    decoded = decode({"1": True, "17": 12, "20": 2386, "99": "?"}, PLUG)
    assert decoded.values == {"voltage": 238.6}
    assert decoded.diagnostics == {"switch_1": True, "add_ele": 12, "dp_99": "?"}


@pytest.mark.parametrize("raw", ["x", "23.6", None, True, [1], 23.6])
def test_a_value_of_another_kind_stays_raw_with_a_warning(raw: object) -> None:
    decoded = decode({"101": raw}, PC321)
    assert decoded.values == {}
    assert decoded.diagnostics == {"VoltageA": raw}
    assert "101" in decoded.warnings[0]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.integers(1, 255).map(str), scalars | st.lists(scalars)))
def test_any_answer_decodes(dps: dict[str, Any]) -> None:
    decoded = decode(dps, PC321)
    assert set(decoded.values) <= set(PC321.keys)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = ", "not valid TOML"),
        ('title = "x"', "datapoints"),
        ('title = "x"\n[datapoints]\n1 = {code = "c", key = "voltag_a"}', "voltag_a"),
        ('title = "x"\n[datapoints]\n1 = {code = "c", divisor = 0}', "divisor"),
        ('title = "x"\nodd = 1\n[datapoints]', "odd"),
    ],
)
def test_a_faulty_profile_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        profiles.parse("mine", text)


@pytest.mark.parametrize(
    ("category", "code", "frame", "is_inverter"),
    [
        ("znnbq", "cur_power", None, True),
        ("cz", "pv1_data", "auto", True),
        ("cz", "BAT_data", "auto", True),
        ("cz", "phase_a", "auto", False),
        ("cz", "pv_power", None, False),
    ],
)
def test_an_inverter_is_one_by_its_category_or_by_a_frame_of_its_panels(
    category: str, code: str, frame: str | None, is_inverter: bool
) -> None:
    point = {"code": code} | ({"frame": frame} if frame else {"key": "active_power"})
    fields = {"name": "x", "title": "X", "category": category, "datapoints": {"1": point}}
    assert Profile.model_validate(fields).is_inverter is is_inverter


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("secret", "str"),
        (True, "bool"),
        (None, "NoneType"),
        (23.6, "23.6"),
        (10**19, "a number of more than 18 digits"),
    ],
)
def test_an_invalid_whole_number_is_reported_by_its_type_alone(raw: object, shown: str) -> None:
    (warning,) = decode({"101": raw}, PC321).warnings
    assert f"got {shown}" in warning
    assert "secret" not in warning


def test_a_frame_without_a_voltage_is_none_of_another_kind() -> None:
    point = {"code": "current_all", "frame": "auto"}
    profile = Profile(name="clamps", title="Clamps", datapoints={"6": point})
    # Three currents of three bytes each, in mA.
    decoded = decode({"6": "AAPoAAfQAAu4"}, profile)
    assert decoded.values == {"current_a": 1.0, "current_b": 2.0, "current_c": 3.0}
