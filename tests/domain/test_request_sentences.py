"""What a payload that is not valid is answered with: words of ours, not of a library."""

import pytest
from pydantic import BaseModel, ValidationError

from esquirell.domain.payload import sentence
from esquirell.domain.requests import MeterChange, Meters, RollupArguments, ScheduleChange
from esquirell.domain.schedule import LONGEST_INTERVAL_S, Schedule


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({}, "name: is missing"),
        ({"name": "A b", "every": 5}, "name: may contain only a-z, 0-9, _ and -"),
        ({"name": "x" * 65, "every": 5}, "name: may have at most 64 characters"),
        ({"name": "a", "every": 0}, "every: must be at least 1"),
        ({"name": "a", "every": "often"}, "every: must be a whole number"),
        ({"name": "a", "every": 5, "enabled": "perhaps"}, "enabled: must be true or false"),
        ({"name": "a", "every": 5, "meters": "main"}, "meters: must be a list"),
        ({"name": "a", "every": 5, "evry": 1}, "evry: is not known here"),
        ({"name": "a", "every": 5, "e" * 9999: 1}, f"{'e' * 64}: is not known here"),
        ({"name": "a", "every": 5, "task": ""}, "task: must not be empty"),
        ({"name": "a", "every": 1e30}, "every: must be a whole number"),
        ({"name": "a", "cron": "0" * 256}, "cron: may have at most 255 characters"),
        ({"name": "a", "timezone": "Z" * 65}, "timezone: may have at most 64 characters"),
    ],
)
def test_invalid_requests_are_refused_in_plain_words(payload: dict[str, object], says: str) -> None:
    assert said_of(Schedule, payload) == says


TRANSACTION = "transaction: must be text or a number"


@pytest.mark.parametrize("transaction", [True, [], {"a": 1}])
def test_a_transaction_is_text_or_a_number(transaction: object) -> None:
    assert said_of(Meters, {"transaction": transaction}) == TRANSACTION


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("invert", "b", 'must be true, false or a list of phases, such as ["b"]'),
        ("invert", ["x"], 'must be true, false or a list of phases, such as ["b"]'),
        ("push", 5, 'must be true, false or "auto"'),
    ],
)
def test_what_may_be_of_several_kinds_names_them_all(field: str, value: object, says: str) -> None:
    assert said_of(MeterChange, {"name": "main", field: value}) == f"{field}: {says}"


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        ("2026-11-22", "must have a time zone, such as 2026-11-22T10:15:00Z"),
        ("0001-01-01T00:00:00+14:00", "must be at least 1970-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-14:00", "must be less than 9999-01-01T00:00:00Z"),
    ],
)
def test_a_moment_is_one_that_every_zone_has(moment: str, says: str) -> None:
    assert said_of(RollupArguments, {"since": moment}) == f"since: {says}"


def test_the_limits_of_an_interval_are_in_the_schema() -> None:
    every, _null = ScheduleChange.model_json_schema()["properties"]["every"]["anyOf"]
    assert every == {"type": "integer", "minimum": 1, "maximum": LONGEST_INTERVAL_S}


def said_of(model: type[BaseModel], payload: dict[str, object]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(payload)
    return sentence(caught.value)
