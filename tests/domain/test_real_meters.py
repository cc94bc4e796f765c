"""Every expected value of every captured meter, by each way to its profile."""

import json
from pathlib import Path

import pytest
from support.captures import METERS, Captured, captures, is_right

from esquirell import profiles
from esquirell.domain.decoding import decode
from esquirell.domain.inference import infer, specified
from esquirell.profiles.capture import answer_of, identity_of

pytestmark = pytest.mark.skipif(not METERS.exists(), reason="no captures of real meters here")
EVERY = [pytest.param(one, id=one.file) for one in captures()]
ANSWERS = [
    pytest.param(one, source, id=f"{one.file}-{source}")
    for one in captures()
    for source in ("status", "dps")
    if one.capture.get(source)
]
LAN = [pytest.param(one, id=one.file) for one in captures() if one.capture.get("dps")]
EMPTY = [
    file for file in sorted((METERS / "empty").glob("*.json")) if '"scale"' in file.read_text()
]


def wrong(captured: Captured, values: dict[str, float]) -> dict[str, tuple[float | None, float]]:
    """Give what is expected and did not come, or came otherwise."""
    return {
        key: (values.get(key), value)
        for key, value in captured.right.items()
        if not is_right(values.get(key), value)
    }


def unexpected(captured: Captured, values: dict[str, float]) -> set[str]:
    return set(values) - captured.right.keys() - captured.disputed


@pytest.mark.parametrize(("captured", "source"), ANSWERS)
def test_every_value_is_right_and_no_other_comes(captured: Captured, source: str) -> None:
    trial = profiles.try_capture(captured.of(source))
    assert wrong(captured, dict(trial.values)) == {}
    assert unexpected(captured, dict(trial.values)) == set()


@pytest.mark.parametrize(("captured", "source"), ANSWERS)
def test_every_value_is_right_without_a_shipped_profile(captured: Captured, source: str) -> None:
    capture = captured.of(source)
    identity, answer = identity_of(capture), answer_of(capture)
    decoded = decode(answer, infer(identity.described, answer, identity.category))
    assert wrong(captured, decoded.values) == {}
    assert unexpected(captured, decoded.values) == set()


# Nothing is known of the product, and its datapoints are those of no family: values are missing.
UNRECOGNISED = {
    "dlq_tinytuya-635": 2,
    "zndb_745-3p": 1,
    # Recognised as a plug, its counter taken for the increment that plugs send there.
    "unknown_a6djabzmpbbp62gw": 1,
    # A frequency more than the breakers that it looks like.
    "dlq_kxdr6su0c55p7bbo": 1,
}


@pytest.mark.parametrize("captured", LAN)
def test_a_lan_answer_alone_gives_nothing_wrong(captured: Captured) -> None:
    capture = captured.of("dps", mapping=None, spec=None, product_id=None, category=None)
    trial = profiles.try_capture(capture)
    lacking = wrong(captured, dict(trial.values))
    assert all(value is None for value, _ in lacking.values())
    assert len(lacking) <= UNRECOGNISED.get(captured.file, 0)
    assert unexpected(captured, dict(trial.values)) == set()
    assert trial.warnings


@pytest.mark.parametrize("captured", EVERY)
def test_sentinels_are_no_measurements(captured: Captured) -> None:
    for sentinel in captured.capture.get("sentinels") or ():
        code, raw = sentinel["code"], sentinel["raw"]
        trial = profiles.try_capture({**captured.capture, "dps": None, "status": {code: raw}})
        assert trial.values == {}
        assert trial.diagnostics == {code: raw}


@pytest.mark.parametrize("captured", EVERY)
def test_samples_decode_without_doubt(captured: Captured) -> None:
    for sample in captured.capture.get("samples") or ():
        trial = profiles.try_capture({**captured.capture, "status": None, "dps": sample["dps"]})
        assert trial.values
        for quantity, value in sample.get("expected", {}).items():
            found = {k: v for k, v in trial.values.items() if k.startswith(quantity)}
            assert value in [pytest.approx(one) for one in found.values()]


@pytest.mark.parametrize("file", EMPTY, ids=lambda file: file.stem)
def test_a_product_without_cloud_status_decodes_from_the_lan(file: Path) -> None:
    capture = json.loads(file.read_text())
    described = specified(capture.get("mapping") or {})
    dps = {one.name: 2300 for one in described if one.scale is not None}
    trial = profiles.try_capture({**capture, "dps": dps})
    assert {230.0} == {value for key, value in trial.values.items() if key.startswith("voltage")}
    bare = profiles.try_capture({"dps": dps | {"101": "idle", "103": "idle", "113": "idle"}})
    assert bare.warnings


def test_the_partial_poll_of_a_series_gives_no_zeros() -> None:
    (file,) = (METERS / "series").glob("*.jsonl")
    polls = [json.loads(line) for line in file.read_text().splitlines()]
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
