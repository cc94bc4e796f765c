"""What a payload that is not valid is answered with: words of ours, not of a library."""

import pytest
from pydantic import ValidationError

from esquirell.domain.payload import sentence
from esquirell.domain.schedule import Schedule


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
    ],
)
def test_invalid_requests_are_refused_in_plain_words(payload: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Schedule.model_validate(payload)
    assert sentence(caught.value) == says
