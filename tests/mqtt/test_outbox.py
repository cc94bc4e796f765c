import tracemalloc

import pytest

from esquirell.mqtt.outbox import (
    EVENT_LIMIT,
    FORGET_AFTER_S,
    LEAST_LIMIT,
    STRIKES,
    Outbox,
    Outgoing,
    PacketLimit,
)
from esquirell.mqtt.requests import Pace


def everything(outbox: Outbox) -> list[Outgoing]:
    return list(iter(outbox.take, None))


def state(topic: str, payload: bytes) -> Outgoing:
    return Outgoing(topic, payload, retained=True)


def test_a_newer_state_replaces_the_waiting_one() -> None:
    outbox = Outbox()
    outbox.keep("a", b"1")
    outbox.keep("b", b"1")
    outbox.keep("a", b"2")
    assert everything(outbox) == [state("a", b"2"), state("b", b"1")]
    assert outbox.empty


def test_states_are_renewed_and_cleared_topics_stay_cleared() -> None:
    outbox = Outbox()
    outbox.keep("a", b"1")
    outbox.keep("b", b"1")
    outbox.keep("b", b"")
    everything(outbox)
    outbox.renew()
    assert everything(outbox) == [state("a", b"1"), state("b", b"")]


def test_unconfirmed_events_are_sent_first_and_states_once() -> None:
    outbox = Outbox()
    outbox.add("event", b"3")
    outbox.give_back(
        [
            Outgoing("event", b"1", retained=False),
            state("state", b"1"),
            Outgoing("event", b"2", retained=False),
        ]
    )
    assert [message.payload for message in everything(outbox)] == [b"1", b"2", b"3"]


def test_the_oldest_of_too_many_events_are_dropped() -> None:
    outbox = Outbox()
    for number in range(EVENT_LIMIT + 5):
        outbox.add("event", str(number).encode())
    messages = everything(outbox)
    assert len(messages) == EVENT_LIMIT
    assert messages[0].payload == b"5"


def test_all_that_waits_is_counted() -> None:
    outbox = Outbox()
    outbox.keep("a", b"1")
    outbox.add("event", b"1")
    outbox.answer(Outgoing("answer", b"1", retained=False))
    assert outbox.count == 3


def test_a_large_state_is_kept_small_and_sent_whole() -> None:
    outbox, announcement = Outbox(), b'{"device_class": "energy"}' * 500
    outbox.keep("a", announcement)
    assert outbox.kept("a") == announcement
    assert everything(outbox) == [state("a", announcement)]
    outbox.keep("a", bytes(announcement))
    assert outbox.empty
    tracemalloc.start()
    for number in range(10):
        outbox.keep("b", announcement + str(number).encode())
    everything(outbox)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < len(announcement) / 4
    outbox.renew()
    assert everything(outbox) == [state("a", announcement), state("b", announcement + b"9")]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


LARGE = 5 * LEAST_LIMIT


def cut_with(limit: PacketLimit, *sizes: int) -> None:
    """Connect to a broker that announces nothing, and be cut while these are under way."""
    limit.opened(None)
    limit.cut(sizes)


def test_what_the_broker_announces_is_the_limit_of_its_connection() -> None:
    limit = PacketLimit()
    assert limit.allows(10**9)
    limit.opened(4000)
    assert limit.bytes == 4000
    assert limit.allows(4000)
    assert not limit.allows(4001)
    limit.opened(None)
    assert limit.allows(4001)


def test_a_packet_that_was_alone_in_three_cuts_is_too_large() -> None:
    limit = PacketLimit(Clock())
    for _ in range(STRIKES - 1):
        cut_with(limit, 100, LARGE)
        assert limit.allows(LARGE)
        assert limit.wants_alone(LARGE)
        assert not limit.wants_alone(100)
    cut_with(limit, LARGE)
    assert limit.bytes == LARGE - 1
    assert limit.allows(LARGE - 1)
    # A smaller one that is cut as well lowers it, a larger one changes nothing.
    for _ in range(STRIKES):
        cut_with(limit, LARGE - 100)
    assert limit.bytes == LARGE - 101
    for _ in range(STRIKES):
        cut_with(limit, LARGE + 100)
    assert limit.bytes == LARGE - 101
    limit.opened(3000)
    assert limit.bytes == 3000


def test_the_limit_that_was_found_is_tried_again_later() -> None:
    clock = Clock()
    limit = PacketLimit(clock)
    for _ in range(STRIKES):
        cut_with(limit, LARGE)
    clock.now += FORGET_AFTER_S
    assert not limit.allows(LARGE)
    clock.now += 1
    assert limit.allows(LARGE)
    cut_with(limit, LARGE)
    assert limit.allows(LARGE)


@pytest.mark.parametrize("sizes", [(LARGE, LARGE + 1), (LEAST_LIMIT,), ()])
def test_a_cut_without_a_reason_blames_no_message(sizes: tuple[int, ...]) -> None:
    limit = PacketLimit(Clock())
    for _ in range(5):
        cut_with(limit, *sizes)
    assert limit.bytes is None
    assert limit.wants_alone(LARGE) == (len(sizes) == 2)
    assert not limit.wants_alone(LEAST_LIMIT)


def test_what_the_broker_accepted_is_no_suspect() -> None:
    limit = PacketLimit(Clock())
    for _ in range(STRIKES - 1):
        cut_with(limit, LARGE)
    limit.opened(None)
    limit.confirmed(LARGE)
    assert not limit.wants_alone(LARGE)
    assert limit.wants_alone(LARGE + 1)
    limit.confirmed(100)
    limit.cut([LARGE])
    assert not limit.wants_alone(LARGE + 1)
    # Its strikes are forgotten with that, but what it proved holds for its connection alone.
    cut_with(limit, LARGE)
    assert limit.bytes is None
    assert limit.wants_alone(LARGE)


def test_periodic_messages_are_due_at_once_and_then_at_their_interval() -> None:
    pace = Pace(10.0)
    assert [pace.due(now) for now in (0.0, 0.5, 9.9, 10.0, 19.0, 25.0, 34.0, 35.0)] == [
        True, False, False, True, False, True, False, True,
    ]  # fmt: skip
