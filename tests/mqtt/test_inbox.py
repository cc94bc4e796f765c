from collections.abc import Callable, Iterator

import pytest

from esquirell.mqtt.inbox import (
    ARRIVED_AFTER_S,
    JUST_AFTER_S,
    JUST_BEFORE_S,
    LIMIT,
    Inbox,
)
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options

PRESS = ("esquirell/meter/main/fetch", b"{}")


class Line(Link):
    """A link to a broker that can or can't be reached."""

    def __init__(self, *, up: bool = True) -> None:
        super().__init__(Options(), None, lambda _: None)
        self.told: list[int] = []
        self._stands = up

    def acknowledge(self, message: Message) -> bool:
        if self._stands:
            self.told.append(message.number)
        return self._stands


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(*, up: bool = True) -> Line:
        made.append(Line(up=up))
        return made[-1]

    yield make
    for one in made:
        one.close(done=False)


def press(line: Line, number: int, *, again: bool = False) -> Message:
    return Message(*PRESS, retained=False, again=again, number=number, link=line)


def test_handled_messages_are_acknowledged_once(line: Callable[..., Line]) -> None:
    inbox, link = Inbox(), line()
    message = press(link, 1)
    assert inbox.take(message)
    inbox.acknowledge(link)
    assert link.told == []
    inbox.finish(message)
    inbox.acknowledge(link)
    inbox.acknowledge(link)
    assert link.told == [1]


def test_a_message_repeated_while_it_is_handled_is_ignored(line: Callable[..., Line]) -> None:
    inbox, first, second = Inbox(), line(), line()
    message = press(first, 1)
    assert inbox.take(message)
    assert not inbox.take(press(second, 8, again=True))
    inbox.finish(message)
    inbox.acknowledge(second)
    assert (first.told, second.told) == ([], [8])


def test_equal_commands_are_distinguished(line: Callable[..., Line]) -> None:
    inbox, first, second = Inbox(), line(), line()
    messages = [press(first, 1), press(first, 2)]
    assert [inbox.take(one) for one in messages] == [True, True]
    again = [press(second, number, again=True) for number in (5, 6, 7)]
    assert [inbox.take(one) for one in again] == [False, False, True]
    for message in messages:
        inbox.finish(message)
    inbox.acknowledge(second)
    assert second.told == [5, 6]


def test_an_acknowledgement_that_got_lost_is_sent_again(line: Callable[..., Line]) -> None:
    inbox, broken, second = Inbox(), line(up=False), line()
    message = press(broken, 1)
    inbox.take(message)
    inbox.finish(message)
    inbox.acknowledge(broken)
    assert not inbox.take(press(second, 3, again=True))
    inbox.acknowledge(second)
    assert second.told == [3]


def test_a_redelivered_command_is_recognised(
    line: Callable[..., Line],
) -> None:
    now = [0.0]
    inbox, first, second, third = Inbox(lambda: now[0]), line(), line(), line()
    inbox.opened(resumed=False)
    now[0] += JUST_AFTER_S + 1
    message = press(first, 1)
    inbox.take(message)
    inbox.finish(message)
    inbox.acknowledge(first)
    inbox.closed()
    inbox.opened(resumed=True)
    assert not inbox.take(press(second, 1, again=True))
    inbox.acknowledge(second)
    now[0] += ARRIVED_AFTER_S + JUST_AFTER_S
    inbox.acknowledge(second)
    assert inbox.take(press(third, 1, again=True))


@pytest.mark.parametrize(("number", "is_new"), [(1, False), (2, True)])
def test_what_a_broker_sends_again_without_saying_so_has_its_number(
    line: Callable[..., Line],
    number: int,
    is_new: bool,
) -> None:
    """Acknowledged well before the end of its link, and come just after the next one began."""
    now = [100.0]
    inbox, first, second = Inbox(lambda: now[0]), line(), line()
    inbox.opened(resumed=False)
    message = press(first, 1)
    inbox.take(message)
    inbox.finish(message)
    inbox.acknowledge(first)
    now[0] += JUST_BEFORE_S
    inbox.closed()
    inbox.opened(resumed=True)
    assert inbox.take(press(second, number)) is is_new


def test_a_command_in_progress_is_kept_however_many_follow(line: Callable[..., Line]) -> None:
    inbox, link = Inbox(), line()
    long_one = press(link, 1)
    inbox.take(long_one)
    for number in range(2, LIMIT + 50):
        message = press(link, number)
        inbox.take(message)
        inbox.finish(message)
        inbox.acknowledge(link)
    inbox.finish(long_one)
    inbox.acknowledge(link)
    assert link.told[-1] == 1


def test_those_that_arrived_are_forgotten_behind_one_at_work(line: Callable[..., Line]) -> None:
    now = [0.0]
    inbox, link = Inbox(lambda: now[0]), line()
    inbox.opened(resumed=False)
    inbox.take(press(link, 1))
    message = press(link, 2)
    inbox.take(message)
    inbox.finish(message)
    inbox.acknowledge(link)
    now[0] += ARRIVED_AFTER_S + 1
    inbox.acknowledge(link)
    assert inbox.kept == 1
