"""Threads of a poll stay on one core, and go where they please after it."""

import os
import sys
import threading
from collections.abc import Callable

import pytest
from support.waiting import LIMIT_S

from esquirell.services.one_core import OneCore

if sys.platform != "linux":
    pytest.skip("only Linux lets threads choose their cores", allow_module_level=True)


def cores() -> set[int]:
    return os.sched_getaffinity(0)


def in_thread(call: Callable[[], set[int]]) -> set[int]:
    found: list[set[int]] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(LIMIT_S)
    return found[0]


def followed(core: OneCore) -> set[int]:
    core.follow()
    return cores()


def test_the_leader_stays_on_one_core_meanwhile() -> None:
    before = cores()
    with OneCore().lead():
        assert len(cores()) == 1
        assert cores() <= before
    assert cores() == before


def test_what_goes_wrong_meanwhile_frees_the_leader_too() -> None:
    before = cores()
    with pytest.raises(ValueError, match="wrong"), OneCore().lead():
        raise ValueError("wrong")
    assert cores() == before


def test_others_follow_to_the_same_core() -> None:
    core = OneCore()
    with core.lead():
        here = cores()
        assert in_thread(lambda: followed(core)) == here
        with core.lead():
            assert cores() == here
        assert cores() == here


def test_who_has_nobody_to_follow_stays_free() -> None:
    assert in_thread(lambda: followed(OneCore())) == cores()


def test_the_core_is_chosen_among_those_that_are_allowed() -> None:
    one = {max(cores())}

    def confined() -> set[int]:
        os.sched_setaffinity(0, one)
        with OneCore().lead():
            return cores()

    assert in_thread(confined) == one
