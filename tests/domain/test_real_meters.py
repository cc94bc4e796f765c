"""Every expected value of every captured meter, by each way that it can be known."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.captures import SERIES, Captured, captures, no_meters, unanswered
from support.judge import WAYS, Way, judge, table, verdict

from esquirell import profiles
from esquirell.domain.inference import specified
from esquirell.domain.quantity import split_key

EVERY = [pytest.param(one, id=one.file) for one in captures()]
BY_WAY = [
    pytest.param(one, way, id=f"{one.file}, {way.name}")
    for one in captures()
    for way in WAYS
    if list(way.captures(one))
]
OTHERS = [pytest.param(capture, id=file) for file, capture in no_meters()]
EMPTY = [pytest.param(file, id=file.stem) for file in unanswered() if '"scale"' in file.read_text()]
NOT_ELECTRICAL = ("temperature", "state_of_charge")

# What is known to come out wrong, by file and key.
KNOWN_WRONG = {
    "dlq_l1ajiy5jy5uy4cfy": {"energy_import"},
    "qccdz_feyree-2064": {"energy_import"},
    "qccdz_xiptqjoa8q9ltqhr": {"energy_import"},
    "unknown_kws306-3987": {"power_factor_a"},
    "znnbq_sg600md": {"active_power", "active_power_pv", "active_power_ac"},
}
# So many of a hundred values have to be right.
LEAST = {
    "all that is known": 100,
    "the maker's mapping": 100,
    "the cloud's specification": 100,
    "the product id": 92,
    "the LAN answer alone": 85,
}


@pytest.mark.parametrize(("captured", "way"), BY_WAY)
def test_no_value_is_wrong(captured: Captured, way: Way) -> None:
    for one in judge([captured], [way]):
        known = KNOWN_WRONG.get(captured.file, set())
        assert one.wrong.keys() | one.unlisted.keys() <= known


def test_enough_values_are_right() -> None:
    shares = {
        way: 100 * row["right"] / row["values"] for way, row in table(judge(captures())).items()
    }
    assert {way: share for way, share in shares.items() if share < LEAST[way]} == {}
    assert shares.keys() == LEAST.keys()


@pytest.mark.parametrize("capture", OTHERS)
def test_of_a_device_that_is_no_meter_nothing_electrical_is_published(
    capture: Mapping[str, Any],
) -> None:
    if capture["product_id"] == "gpzittzfnzhduquz":
        pytest.xfail("a pool heater whose datapoints look like a plug's")
    ways = [("spec", "category", "status"), ("status",), ("product_id", "dps"), ("dps",)]
    for parts in ways:
        if capture.get(parts[-1]):
            trial = profiles.try_capture({part: capture.get(part) for part in parts})
            found = {split_key(key)[0].key for key in trial.values}
            assert found <= set(NOT_ELECTRICAL), parts


@pytest.mark.parametrize("captured", EVERY)
def test_sentinels_are_no_measurements(captured: Captured) -> None:
    for sentinel in captured.capture.get("sentinels") or ():
        code, raw = sentinel["code"], sentinel["raw"]
        trial = profiles.try_capture({**captured.capture, "dps": None, "status": {code: raw}})
        assert trial.values == {}
        assert trial.diagnostics == {code: raw}


@pytest.mark.parametrize("captured", EVERY)
def test_further_answers_of_a_meter_are_decoded_as_well(captured: Captured) -> None:
    for sample in captured.capture.get("samples") or ():
        trial = profiles.try_capture({**captured.capture, "status": None, "dps": sample["dps"]})
        assert trial.values
        told = replace(captured, right=sample.get("expected", {}))
        compared = verdict(told, "sample", trial.values)
        assert (compared.missing, compared.wrong) == (frozenset(), {})


@pytest.mark.parametrize("file", EMPTY)
def test_a_product_without_cloud_status_decodes_from_the_lan(file: Path) -> None:
    capture = json.loads(file.read_text(encoding="utf-8"))
    described = specified(capture.get("mapping") or {})
    dps = {one.name: 2300 for one in described if one.scale is not None}
    trial = profiles.try_capture({**capture, "dps": dps})
    assert {230.0} == {value for key, value in trial.values.items() if key.startswith("voltage")}
    bare = profiles.try_capture({"dps": dps | {"101": "idle", "103": "idle", "113": "idle"}})
    assert bare.warnings


def test_the_partial_poll_of_a_series_gives_no_zeros() -> None:
    (file,) = SERIES.glob("*.jsonl")
    polls = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    doubted: list[str] = []
    for poll in polls:
        trial = profiles.try_capture({"product_id": "gqmmtjclqb7reg5p", "dps": poll["dps"]})
        if poll["partial"]:
            assert trial.values == {"active_power": 367}
            assert "not measured" in trial.warnings[-1]
        else:
            assert len(trial.values) == 28
            doubted += trial.warnings
    # Readings in which the power of phase c came before its current.
    assert len(doubted) <= 3
    assert all(says.startswith("active_power_c") for says in doubted)
    assert sum(poll["partial"] for poll in polls) == 1
