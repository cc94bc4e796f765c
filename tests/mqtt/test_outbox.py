import tracemalloc

from esquirell.mqtt.outbox import EVENT_LIMIT, Outbox, Outgoing


def everything(outbox: Outbox) -> list[Outgoing]:
    return list(iter(outbox.take, None))


def state(topic: str, payload: bytes) -> Outgoing:
    return Outgoing(topic, payload, retained=True)


def test_a_newer_state_takes_the_place_of_the_one_that_waits() -> None:
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


def test_events_that_were_not_confirmed_go_first_and_states_do_not_come_twice() -> None:
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
