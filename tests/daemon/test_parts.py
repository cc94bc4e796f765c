"""Parts of a process: their rounds, and how one that fails or dies is restarted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.rounds import Rounds
from support.waiting import LIMIT_S, eventually

from esquirell.daemon.parts import RunOnce, ServicePart, together
from esquirell.daemon.watchdog import Watchdog
from esquirell.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("pause_s", "now", "expected"),
    [
        (0.3, 100.2, 0.3),
        (1.0, 100.0, 0.1),
        (1.0, 100.1, 1.0),
        (1.0, 100.0995, 1.0005),
        (5.0, 100.7, 4.4),
        (60.0, 100.0, 59.1),
    ],
)
def test_longer_pauses_end_at_the_same_moment_of_a_second(
    pause_s: float, now: float, expected: float
) -> None:
    assert together(pause_s, now) == pytest.approx(expected)


def test_a_part_that_is_woken_takes_its_turn_at_once() -> None:
    rounds = Rounds()
    part = ServicePart("it", lambda: rounds_of(60.0, rounds))
    part.start()
    eventually(lambda: rounds.done == 1)
    part.wake()
    eventually(lambda: rounds.done == 2)
    part.stop()
    part.join(LIMIT_S)
    assert (part.alive, rounds.done) == (False, 2)


@contextmanager
def rounds_of(pause_s: float, rounds: Rounds) -> Iterator[RunOnce]:
    with rounds() as run_once:
        yield lambda: run_once() and pause_s


def fail_once(number: int) -> None:
    if number == 2:
        raise ZeroDivisionError("the second round")


def die_once(number: int) -> None:
    if number == 2:
        raise SystemExit


def test_a_part_turns_until_it_is_stopped() -> None:
    rounds = Rounds()
    part = ServicePart("it", rounds)
    part.start()
    eventually(lambda: rounds.done > 3)
    part.stop()
    part.join(LIMIT_S)
    assert not part.alive
    assert (rounds.made, rounds.closed) == (1, 1)


def test_a_part_that_waits_for_something_ends_at_once() -> None:
    something, began = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        began.set()
        something.wait(10 * LIMIT_S)

    rounds = Rounds(wait)
    part = ServicePart("it", rounds, hurry=something.set)
    part.start()
    assert began.wait(LIMIT_S)
    part.stop()
    part.join(LIMIT_S)
    assert not part.alive
    assert rounds.closed == 1


def test_a_part_that_fails_is_rebuilt(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(fail_once)
    part = ServicePart("it", rounds)
    part.start()
    eventually(lambda: rounds.done > 3)
    part.stop()
    part.join(LIMIT_S)
    assert (rounds.made, rounds.closed) == (2, 2)
    assert "it failed and is restarted" in caplog.text


def test_a_fault_with_a_sentence_is_said_once_while_it_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(number: int) -> None:
        if number < 4:
            raise ConfigError("web-key can't be read: Input/output error")

    rounds = Rounds(script)
    part = ServicePart("web", rounds)
    part.pause_after_failure_s = 0.01
    part.start()
    eventually(lambda: rounds.done > 5)
    part.stop()
    part.join(LIMIT_S)
    assert caplog.text.count("web waits: web-key can't be read: Input/output error") == 1
    assert "Traceback" not in caplog.text


# The thread is meant to die.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_part_whose_thread_died_is_restarted(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(die_once)
    watchdog = Watchdog([ServicePart("it", rounds)], [], lambda: "")
    watchdog.start()
    eventually(lambda: rounds.made == 2)
    watchdog.stop()
    assert "it has died" in caplog.text
