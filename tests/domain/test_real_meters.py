"""Every expected value of every captured meter, with each choice of inputs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.captures import SERIES, Captured, captures, no_meters, unanswered
from support.judge import INPUTS, Inputs, Verdict, judge, judge_left_out, table, verdict

from esquirell.domain.inference import specified
from esquirell.domain.quantity import split_key
from esquirell.profiles.capture import answer_of, identity_of, try_capture
from esquirell.profiles.choice import choose
from esquirell.profiles.library import shipped

EVERY = [pytest.param(one, id=one.file) for one in captures()]
BY_INPUTS = [
    pytest.param(one, inputs, id=f"{one.file}, {inputs.name}")
    for one in captures()
    for inputs in INPUTS
    if list(inputs.captures(one))
]
LAN = [pytest.param(one, id=one.file) for one in captures() if one.capture.get("dps")]
OTHERS = [pytest.param(capture, id=file) for file, capture in no_meters()]
EMPTY = [pytest.param(file, id=file.stem) for file in unanswered() if '"scale"' in file.read_text()]
NOT_ELECTRICAL = ("temperature", "state_of_charge")

# So many of a hundred values have to be right.
LEAST = {
    "all that is known": 100,
    "the maker's mapping": 100,
    "the cloud's specification": 100,
    "the product id": 98,
    "the LAN answer alone": 96,
}

# ... and of products that nobody ever saw, whose own layout and profile are left out. Some are the
# only ones of their family: their values are then missing, never wrong.
LEAST_UNSEEN = {"the product id": 85, "the LAN answer alone": 88}


@cache
def verdicts() -> list[Verdict]:
    return list(judge(captures()))


@cache
def left_out() -> list[Verdict]:
    return list(judge_left_out(captures()))


@pytest.mark.parametrize("captured", EVERY)
def test_every_value_has_one_type(captured: Captured) -> None:
    values = try_capture(captured.capture).values
    assert {key: type(value) for key, value in values.items()} == dict.fromkeys(values, float)


@pytest.mark.parametrize(("captured", "inputs"), BY_INPUTS)
def test_no_value_is_wrong(captured: Captured, inputs: Inputs) -> None:
    mine = [one for one in verdicts() if (one.file, one.inputs) == (captured.file, inputs.name)]
    assert mine
    for one in mine:
        assert (one.wrong, one.unlisted) == ({}, {})


@pytest.mark.parametrize("captured", LAN)
def test_no_value_of_an_unseen_product_is_wrong(captured: Captured) -> None:
    for one in left_out():
        if one.file == captured.file:
            assert (one.wrong, one.unlisted) == ({}, {})


@pytest.mark.parametrize("captured", EVERY)
def test_what_a_meter_neither_sends_nor_describes_is_not_announced(captured: Captured) -> None:
    """A plug with its voltage in DP 6 has no phases b and c in DPs 7 and 8."""
    answer, identity = answer_of(captured.capture), identity_of(captured.capture)
    chosen = choose(identity, answer, [], list(shipped().values())).profile
    if chosen.name in shipped():
        return
    described = {name for spec in identity.described for name in (spec.name, spec.code)}
    assert chosen.datapoints.keys() <= answer.keys() | described


@pytest.mark.parametrize(("judged", "least"), [(verdicts, LEAST), (left_out, LEAST_UNSEEN)])
def test_enough_values_are_right(
    judged: Callable[[], list[Verdict]], least: Mapping[str, float]
) -> None:
    rows = table(judged())
    shares = {inputs: 100 * row["right"] / row["values"] for inputs, row in rows.items()}
    assert {inputs: share for inputs, share in shares.items() if share < least[inputs]} == {}
    assert shares.keys() == least.keys()


@pytest.mark.parametrize("capture", OTHERS)
def test_a_device_that_is_no_meter_publishes_nothing_electrical(
    capture: Mapping[str, Any],
) -> None:
    choices = [("spec", "category", "status"), ("status",), ("product_id", "dps"), ("dps",)]
    for parts in choices:
        if capture.get(parts[-1]):
            trial = try_capture({part: capture.get(part) for part in parts})
            found = {split_key(key)[0].key for key in trial.values}
            assert found <= set(NOT_ELECTRICAL), parts


@pytest.mark.parametrize("captured", EVERY)
def test_sentinels_are_no_measurements(captured: Captured) -> None:
    for sentinel in captured.capture.get("sentinels") or ():
        code, raw = sentinel["code"], sentinel["raw"]
        trial = try_capture({**captured.capture, "dps": None, "status": {code: raw}})
        assert trial.values == {}
        assert trial.diagnostics == {code: raw}


@pytest.mark.parametrize("captured", EVERY)
def test_further_answers_of_a_meter_are_decoded_as_well(captured: Captured) -> None:
    for sample in captured.capture.get("samples") or ():
        trial = try_capture({**captured.capture, "status": None, "dps": sample["dps"]})
        assert trial.values
        told = replace(captured, right=sample.get("expected", {}))
        compared = verdict(told, "sample", trial.values)
        assert (compared.missing, compared.wrong) == (frozenset(), {})


@pytest.mark.parametrize("file", EMPTY)
def test_a_product_without_cloud_status_decodes_from_the_lan(file: Path) -> None:
    capture = json.loads(file.read_text(encoding="utf-8"))
    described = specified(capture.get("mapping") or {})
    dps = {one.name: 2300 for one in described if one.scale is not None}
    trial = try_capture({**capture, "dps": dps})
    assert {230.0} == {value for key, value in trial.values.items() if key.startswith("voltage")}
    bare = try_capture({"dps": dps | {"101": "idle", "103": "idle", "113": "idle"}})
    assert bare.warnings


def test_a_partial_answer_yields_no_zeros() -> None:
    polls = [json.loads(line) for line in SERIES.read_text(encoding="utf-8").splitlines()]
    doubted: list[str] = []
    for poll in polls:
        trial = try_capture({"product_id": "gqmmtjclqb7reg5p", "dps": poll["dps"]})
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


def test_the_energy_of_a_charging_session_is_no_counter() -> None:
    """It begins at zero with each car, also where it has more of a counter's room."""
    sessions = 0
    for captured in captures():
        described = specified(captured.capture.get("mapping") or {})
        names = [one.name for one in described if one.code == "charge_energy_once"]
        for inputs in INPUTS:
            for capture in inputs.captures(captured):
                for name in names:
                    raw = (capture.get("dps") or capture.get("status") or {}).get(name)
                    values = try_capture(capture).values
                    imported = [v for k, v in values.items() if k.startswith("energy")]
                    assert not raw or raw / 100 not in imported
                    sessions += bool(raw)
    assert sessions
