"""Arguments checked against the signature of a function."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from esquirell.domain.tasks import SignatureError, model_of


def plain(title: str, days: int = 7, *, quick: bool = False) -> None: ...


def bare(anything, other=None): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as users do


def odd(_x: int, json: str, model_config: int = 1, self: str = "") -> None: ...


class Room(BaseModel):
    name: str


def rich(
    since: date, kind: Literal["a", "b"], room: Room, share: Annotated[float, Field(le=1)]
) -> None: ...


class Bound:
    def run(self, title: str) -> None: ...


def accepted(function: Callable[..., object], **given: object) -> dict[str, Any]:
    model = model_of(function).model_validate(given)
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (plain, {"title": "x"}),
        (plain, {"title": "x", "days": 1, "quick": True}),
        (bare, {"anything": {"deep": [1, None, "x"]}, "other": 1.5}),
        (bare, {"anything": None}),
        (odd, {"_x": 1, "json": "x", "model_config": 2, "self": "me"}),
        (rich, {"since": "2026-01-01", "kind": "a", "room": {"name": "x"}, "share": 0.5}),
        (Bound().run, {"title": "x"}),
        (lambda: None, {}),
    ],
)
def test_valid_arguments_pass_unchanged(
    function: Callable[..., object], given: dict[str, object]
) -> None:
    assert accepted(function, **given) == given


@pytest.mark.parametrize(
    ("function", "given", "at"),
    [
        (plain, {}, "title"),
        (plain, {"title": 1}, "title"),
        (plain, {"title": "x", "days": "many"}, "days"),
        (plain, {"title": "x", "day": 1}, "day"),
        (odd, {"_x": "many", "json": "x"}, "_x"),
        (rich, {"since": "x", "kind": "a", "room": {"name": "x"}, "share": 0.5}, "since"),
        (rich, {"since": "2026-01-01", "kind": "c", "room": {"name": "x"}, "share": 0}, "kind"),
        (rich, {"since": "2026-01-01", "kind": "a", "room": {}, "share": 0.5}, "room"),
        (rich, {"since": "2026-01-01", "kind": "a", "room": {"name": "x"}, "share": 2}, "share"),
        (Bound().run, {"title": "x", "self": 1}, "self"),
    ],
)
def test_invalid_arguments_are_refused_by_name(
    function: Callable[..., object], given: dict[str, object], at: str
) -> None:
    with pytest.raises(ValueError, match=rf"(?m)^{at}\b"):
        accepted(function, **given)


def several(*values: int) -> None: ...


def named(**values: int) -> None: ...


def by_position(value: int, /) -> None: ...


def unknown(value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - as users err


def no_json(value: Callable[[], int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (several, r"it takes \*values"),
        (named, r"it takes \*\*values"),
        (by_position, "it takes value by its position only"),
        (unknown, "its annotations can't be read .*Nowhere"),
        (no_json, "JSON can't be checked against its annotations"),
    ],
)
def test_what_needs_a_model_says_why(function: Callable[..., object], reason: str) -> None:
    with pytest.raises(SignatureError, match=reason) as caught:
        model_of(function)
    assert "\n" not in str(caught.value)


def test_the_schema_shows_names_types_and_defaults() -> None:
    schema = model_of(plain).model_json_schema()
    assert list(schema["properties"]) == ["title", "days", "quick"]
    assert schema["required"] == ["title"]
    assert schema["properties"]["days"] == {"default": 7, "title": "Days", "type": "integer"}
    assert schema["additionalProperties"] is False


def test_a_default_that_is_no_json_stays_that_of_the_function() -> None:
    def since(day: date = date(2026, 1, 1)) -> None: ...

    assert accepted(since) == {}
    assert "default" not in model_of(since).model_json_schema()["properties"]["day"]
