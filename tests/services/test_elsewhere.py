"""Which worker reads which meters."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from esquirell.domain.errors import UnavailableError
from esquirell.domain.meter import Meter
from esquirell.services.elsewhere import SHARED_FROM, Elsewhere


class Post:
    """Notes what is sent to other workers; `alive` are those without a queue of their own."""

    def __init__(self, alive: int) -> None:
        self.alive = alive
        self.away = False
        self.tickets: list[tuple[str, str, Sequence[str]]] = []
        self.claimed: set[str] = set()

    def workers(self, queue: str) -> int:
        if self.away:
            raise UnavailableError("Redis is away")
        return 1 if queue else self.alive

    def send(self, queue: str, kind: str, meters: Sequence[str], expires_s: int) -> str:
        assert expires_s > 0
        self.tickets.append((queue, kind, meters))
        return str(len(self.tickets) - 1)

    def collect(self, ticket: str) -> Mapping[str, Any] | None:
        return {"meters": {name: {"status": "ok"} for name in self.tickets[int(ticket)][2]}}

    def claim(self, ticket: str) -> bool:
        if self.away:
            raise UnavailableError("Redis is away")
        is_free = ticket not in self.claimed
        self.claimed.add(ticket)
        return is_free

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        raise AssertionError(f"nobody asked: {ticket}, {answer}")


def meters(count: int, queue: str = "") -> list[Meter]:
    return [
        Meter(
            name=f"{queue or 'm'}{number}",
            device_id=f"bf{number:018}",
            local_key="0123456789abcdef",
            address="127.0.0.1",
            queue=queue,
        )
        for number in range(count)
    ]


def test_many_meters_are_shared_evenly_and_all_are_told_of() -> None:
    post = Post(alive=3)
    elsewhere = Elsewhere(post, ())
    house = [*meters(SHARED_FROM + 10), *meters(2, "yard")]
    here, others = elsewhere.divide(house)
    with elsewhere.sent(others, forced=False) as parts:
        told, missed = elsewhere.collect(parts)
    assert missed == {}
    assert {meter.name for meter in here} | told.keys() == {meter.name for meter in house}
    assert len(here) + len(told) == len(house)
    assert [(queue, kind, len(names)) for queue, kind, names in post.tickets] == [
        ("yard", "scheduled", 2),
        ("", "scheduled", 20),
        ("", "scheduled", 20),
    ]


@pytest.mark.parametrize(("count", "alive"), [(SHARED_FROM - 1, 3), (SHARED_FROM, 1)])
def test_few_meters_and_a_worker_alone_share_nothing(count: int, alive: int) -> None:
    house = meters(count)
    assert Elsewhere(Post(alive), ()).divide(house) == (house, [])


def test_without_redis_all_are_read_here() -> None:
    post = Post(alive=3)
    post.away = True
    house = meters(SHARED_FROM)
    assert Elsewhere(post, ()).divide(house) == (house, [])


def test_what_others_are_still_at_is_not_sent_to_them_again() -> None:
    post = Post(alive=2)
    elsewhere = Elsewhere(post, ())
    house = meters(SHARED_FROM)
    _, others = elsewhere.divide([*house, *meters(1, "yard")])
    with elsewhere.sent(others, forced=False):
        assert elsewhere.divide(house) == (house, [])
        with elsewhere.sent(others, forced=False) as parts:
            left, rest = elsewhere.left(parts)
            assert left == house[1::2]
            assert rest == []
        with elsewhere.sent(others, forced=True) as parts:
            assert len(parts) == 2


def test_a_cancelled_poll_leaves_no_queue_out_for_ever() -> None:
    elsewhere = Elsewhere(Post(alive=1), ())
    _, others = elsewhere.divide(meters(1, "yard"))
    with pytest.raises(KeyboardInterrupt), elsewhere.sent(others, forced=False):
        raise KeyboardInterrupt
    with elsewhere.sent(others, forced=False) as parts:
        assert len(parts) == 1


def test_a_share_that_nobody_has_begun_comes_back_and_is_begun_by_nobody_else() -> None:
    post = Post(alive=3)
    elsewhere = Elsewhere(post, ())
    house = [*meters(SHARED_FROM), *meters(1, "yard")]
    here, others = elsewhere.divide(house)
    with elsewhere.sent(others, forced=True) as parts:
        yard, begun, waits = parts
        assert elsewhere.claim(begun.ticket)
        left, rest = elsewhere.left(parts)
    assert rest == [yard, begun]
    assert tuple(left) == waits.meters
    assert not elsewhere.claim(waits.ticket)
    assert len(here) + len(left) + len(begun.meters) == SHARED_FROM


def test_when_redis_goes_in_the_middle_the_shares_of_others_come_back() -> None:
    post = Post(alive=2)
    elsewhere = Elsewhere(post, ())
    here, others = elsewhere.divide(meters(SHARED_FROM))
    with elsewhere.sent(others, forced=False) as parts:
        post.away = True
        left, rest = elsewhere.left(parts)
    assert len(here) + len(left) == SHARED_FROM
    assert rest == []


def test_who_waits_for_others_sees_that_nobody_wants_it_any_more() -> None:
    def wanted() -> None:
        raise KeyboardInterrupt

    elsewhere = Elsewhere(Post(alive=1), ())
    _, others = elsewhere.divide(meters(1, "yard"))
    with elsewhere.sent(others, forced=False) as parts, pytest.raises(KeyboardInterrupt):
        elsewhere.collect(parts, wanted)
