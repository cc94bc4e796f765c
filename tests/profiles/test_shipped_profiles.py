"""One test over all shipped profiles, each with an answer in answers.toml."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from support.captures import METERS, Captured, captures
from support.physics import objections

from esquirell.domain.decoding import decode
from esquirell.profiles import shipped
from esquirell.profiles.capture import try_capture

ANSWERS = tomllib.loads((Path(__file__).parent / "answers.toml").read_text(encoding="utf-8"))
NAMES = sorted(shipped())
# Its values are of different moments, one of them eleven months old.
UNTIMELY = ("zndb_gqmmtjclqb7reg5p_cloud",)
CLAIMS = [
    (name, captured)
    for name, profile in shipped().items()
    for captured in captures()
    if captured.capture["product_id"] in profile.products
    and captured.file not in UNTIMELY
    and all(dp in (captured.capture.get("dps") or {}) for dp in profile.requires)
]
CLAIMED = [pytest.param(*claim, id=f"{claim[0]}, {claim[1].file}") for claim in CLAIMS]
# A profile without an answer there is checked with the first capture that it claims.
for name, captured in CLAIMS:
    ANSWERS.setdefault(
        name, {"answer": captured.capture.get("dps") or {}, "values": captured.right}
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_has_an_answer(name: str) -> None:
    assert name in ANSWERS, f"add a capture of product {shipped()[name].products} to {METERS}"


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_decodes_its_answer(name: str) -> None:
    decoded = decode(ANSWERS[name]["answer"], shipped()[name])
    assert decoded.values == pytest.approx(ANSWERS[name]["values"])
    assert set(decoded.values) <= set(shipped()[name].keys) | frame_extras(decoded.values)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_profile_decodes_can_be_true_together(name: str) -> None:
    """Powers are voltage x current x power factor, phases make up totals, voltages are a grid's."""
    assert objections(decode(ANSWERS[name]["answer"], shipped()[name]).values) == []


@pytest.mark.parametrize(("name", "captured"), CLAIMED)
def test_what_a_profile_makes_of_every_capture_that_it_claims_can_be_true(
    name: str, captured: Captured
) -> None:
    for source in ("dps", "status"):
        answer = captured.capture.get(source) or {}
        values = decode(answer, shipped()[name]).values
        told = {key: value for key, value in values.items() if key not in captured.disputed}
        assert objections(told) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_describes_itself(name: str) -> None:
    profile = shipped()[name]
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert profile.title
    assert profile.model
    assert profile.category
    assert any(point.key or point.frame for point in profile.datapoints.values())
    assert list(profile.datapoints) == sorted(profile.datapoints, key=int)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_one_line_per_datapoint(name: str) -> None:
    file = Path(__file__).parents[2] / "esquirell" / "profiles" / f"{name}.toml"
    _, _, table = file.read_text(encoding="utf-8").partition("[datapoints]\n")
    assert len(table.splitlines()) == len(shipped()[name].datapoints)


def test_a_product_has_one_profile_unless_the_datapoints_tell_them_apart() -> None:
    claims = defaultdict(list)
    for profile in shipped().values():
        for product in profile.products:
            claims[product].append(profile)
    for rivals in claims.values():
        required = [set(one.requires) for one in rivals]
        assert len(rivals) == 1 or all(
            one - set(other.datapoints) for one, other in zip(required, rivals[::-1], strict=True)
        )


# What the answer alone leaves open: others send something else there.
OPEN = {
    "breaker_3p": {"energy_import"},
    "dds238_2": {"energy_export"},
    # It sends powers alone, and nothing that proves them.
    "power_station": set(ANSWERS["power_station"]["values"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_recognised_by_its_datapoints_alone(name: str) -> None:
    trial = try_capture({"dps": ANSWERS[name]["answer"]})
    right = {k: v for k, v in ANSWERS[name]["values"].items() if k not in OPEN.get(name, ())}
    assert trial.values == pytest.approx(right)
    assert "set product_id" in trial.warnings[0]


@pytest.mark.parametrize("name", [name for name in NAMES if shipped()[name].products])
def test_a_product_gets_its_profile(name: str) -> None:
    for product in shipped()[name].products:
        trial = try_capture({"product_id": product, "dps": ANSWERS[name]["answer"]})
        assert trial.profile == name
        assert trial.values == pytest.approx(ANSWERS[name]["values"])


def frame_extras(values: dict[str, float]) -> set[str]:
    """Return what only some frames of a kind hold."""
    extras = ("reactive_power", "apparent_power", "power_factor", "frequency")
    return {key for key in values if key.startswith(extras)}
