"""A whole number that people write in a configuration or a payload."""

from typing import Annotated

from pydantic import BeforeValidator


def _no_truth(value: object) -> object:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's protocol
    return value


WholeNumber = Annotated[int, BeforeValidator(_no_truth)]
