import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from esquirell.flower.masking import Mask, secrets_of

KEY = "k3y$#='(0123;\"ab\\"
MASK = Mask([KEY, "abc"])


@pytest.mark.parametrize("told", [KEY, repr(KEY), json.dumps(KEY), repr({"x": KEY}), str([KEY])])
def test_a_known_secret_is_hidden_however_it_is_written(told: str) -> None:
    hidden = MASK.text(f"before {told} after")
    assert "k3y" not in hidden
    assert (hidden.startswith("before "), hidden.endswith(" after")) == (True, True)


@pytest.mark.parametrize(
    "told",
    [
        "{'password': 's3cr3t', 'n': 1}",
        '{"api_key": "s3cr3t"}',
        "{'access_token': b's3cr3t'}",
        "Login(password='s3cr3t')",
        "{'client_secret': 's3cr3t that was cut o",
        "the token=s3cr3t is wrong",
        "{'local_key': 's3cr\\'s3cr3t'}",
    ],
)
def test_the_value_of_a_name_that_sounds_secret_is_hidden(told: str) -> None:
    assert "s3cr" not in MASK.text(told)
    assert "***" in MASK.text(told)


def test_settings_that_are_no_secrets_stay() -> None:
    told = {
        "routing_key": "polls",
        "keys": ["voltage_a"],
        "kwargs": "{'meters': ['main'], 'keyboard': 'abc'}",
        "runtime": 0.5,
        "expires": None,
    }
    assert MASK.data(told) == told


def test_named_secrets_in_data_are_hidden() -> None:
    told = {"args": [{"password": "x", "pin_token": 7}], "n": 1}
    assert MASK.data(told) == {"args": [{"password": "***", "pin_token": "***"}], "n": 1}


@given(st.text(min_size=4).filter(lambda text: "*" not in text and not text.isspace()))
def test_no_secret_survives(secret: str) -> None:
    assert secret not in Mask([secret]).text(f"{secret}\n{secret!r}\n{json.dumps(secret)}")


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    assert isinstance(Mask([]).text(text), str)


class Inner(BaseModel):
    password: SecretStr


class Outer(BaseModel):
    one: Inner
    many: tuple[Inner, ...]


def test_all_secrets_of_the_settings_are_known() -> None:
    inner = [Inner(password=SecretStr(text)) for text in ("first", "second")]
    assert set(secrets_of(Outer(one=inner[0], many=(inner[1],)))) == {"first", "second"}
