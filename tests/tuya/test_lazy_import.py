"""A module that is imported in any case loads when it is first used."""

import subprocess
import sys
from types import ModuleType

import pytest

from esquirell.tuya.tinytuya_import import lazy_import

NAME = "this"


@pytest.fixture(autouse=True)
def _not_loaded() -> None:
    """`this` prints when it loads, once."""
    sys.modules.pop(NAME, None)


def imported() -> ModuleType:
    with lazy_import(NAME):
        import this  # noqa: PLC0415 - this is what is tried
    return this


def test_nothing_is_loaded_before_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    imported()
    assert not capsys.readouterr().out
    assert NAME not in sys.modules


def test_whoever_uses_it_gets_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert imported().d["A"] == "N"
    assert "Tim Peters" in capsys.readouterr().out
    assert sys.modules[NAME].d["A"] == "N"


def test_it_can_be_used_at_once() -> None:
    with lazy_import(NAME):
        from this import d  # noqa: PLC0415 - this is what is tried
    assert d["A"] == "N"


def test_a_module_that_is_loaded_stays() -> None:
    known = sys.modules[NAME] = ModuleType(NAME)
    assert imported() is known
    assert sys.modules[NAME] is known


def test_what_is_missing_is_missed_when_it_is_used() -> None:
    with lazy_import("no_such_module"):
        module = sys.modules["no_such_module"]
    with pytest.raises(ModuleNotFoundError):
        _ = module.anything


def test_requests_is_not_loaded_with_the_meters() -> None:
    program = """
import sys
import esquirell.tuya.cloud.api, esquirell.tuya.transport, tinytuya
assert "requests" not in sys.modules
assert sys.modules["tinytuya.Cloud"].requests.codes.ok == 200
import requests
assert requests.Session
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
