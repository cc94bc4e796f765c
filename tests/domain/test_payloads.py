import pytest

from esquirell.domain.errors import CommandError
from esquirell.domain.payload import read_json


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": 1e999}', "invalid_json"),
        (b'{"a": "\\ud800"}', "invalid_json"),
        (b"[" * 50_000, "invalid_json"),
        (b'{"meters": ["a"], "meters": ["b"]}', "invalid_json"),
        (b'{"args": {"dry_run": true, "dry_run": false}}', "invalid_json"),
        (b"[]", "invalid_payload"),
        (b"3", "invalid_payload"),
        (b" " * 65_537, "too_large"),
    ],
)
def test_an_invalid_payload_is_refused(payload: bytes, code: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_json(payload)
    assert caught.value.code == code


@pytest.mark.parametrize("payload", [b"", b"  ", b"{}"])
def test_nothing_is_an_empty_object(payload: bytes) -> None:
    assert read_json(payload) == {}
