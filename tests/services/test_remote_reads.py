"""Which worker reads which meters, and what happens when a worker fails."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from support.waiting import LIMIT_S, eventually
from support.workers import COLLECT_S, Ownership, Post, meters

from esquirell.domain.meter import Meter
from esquirell.services.batch_inbox import PLACES, BatchInbox
from esquirell.services.remote_reads import (
    ANSWER_LIMIT_S,
    GUARD,
    TAKE_S,
    RemoteReads,
)

NEVER = "nobody asked for this"


@pytest.fixture
def post() -> Post:
    return Post()


def reads(post: Post) -> RemoteReads:
    return RemoteReads(post, Ownership(), lambda: post.uptime_s)


def read(remote: RemoteReads, house: Sequence[Meter], kind: str = "on_demand") -> Any:  # noqa: ANN401
    split = remote.split(house)
    batches = remote.dispatch(split, kind)
    here = [one.name for one in split.here]
    again: list[str] = []

    def read_here(found: list[Meter]) -> dict[str, Any]:
        again.extend(one.name for one in found)
        return {one.name: {"status": "ok"} for one in found}

    answered, failed = remote.gather(batches, lambda: None, read_here)
    remote.end(batches)
    nobody = {one.name: str(error) for one, error in split.nobody.items()}
    return here, again, set(answered), {one.name for one in failed}, nobody


def test_each_meter_is_read_by_its_owner(post: Post) -> None:
    here, again, answered, failed, nobody = read(reads(post), meters(9))
    assert here == ["m0", "m3", "m6"]
    assert [(worker, names) for worker, _, names in post.sent.values()] == [
        ("b", ["m1", "m4", "m7"]),
        ("c", ["m2", "m5", "m8"]),
    ]
    assert (again, failed, nobody) == ([], set(), {})
    assert len(answered) == 6


def test_a_scheduled_poll_is_shared_again_once_redis_is_back(
    post: Post,
) -> None:
    remote = reads(post)
    post.away = True
    read(remote, meters(9), "scheduled")
    post.away = False
    post.uptime_s += 60
    _, _, answered, failed, _ = read(remote, meters(9), "scheduled")
    assert (len(answered), failed) == (6, set())


@pytest.mark.parametrize("fate", ["deaf", "dying"])
def test_what_a_worker_does_not_read_is_read_here(post: Post, fate: str) -> None:
    getattr(post, fate).add("b")
    _, again, answered, failed, _ = read(reads(post), meters(9))
    assert again == ["m1", "m4", "m7"]
    assert (len(answered), failed) == (6, set())


def test_what_other_networks_do_not_read_has_failed(
    post: Post,
) -> None:
    post.deaf.add("gardener")
    house = [*meters(2, "yard"), *meters(1, "moor")]
    here, again, answered, failed, nobody = read(reads(post), house)
    assert (here, again, answered, failed) == ([], [], set(), {"y0", "y1"})
    assert "start esquirell worker --queue moor" in nobody["m0"]


def test_without_redis_all_are_read_here(post: Post) -> None:
    post.away = True
    here, *_ = read(reads(post), meters(9))
    assert sorted(here) == [f"m{number}" for number in range(9)]


def test_meters_are_read_here_when_redis_fails_halfway(post: Post) -> None:
    remote = reads(post)
    split = remote.split(meters(9))
    batches = remote.dispatch(split, "scheduled")
    post.away = True
    answered, failed = remote.gather(
        batches, lambda: None, lambda found: {one.name: {} for one in found}
    )
    assert (len(answered), failed) == (6, {})


def test_two_schedules_in_the_same_second_take_no_meters_from_each_other(post: Post) -> None:
    """The first asks a worker for one meter, the second for all: the others are read as well."""
    remote = reads(post)
    remote.dispatch(remote.split(meters(2)[1:]), "scheduled")
    remote.dispatch(remote.split(meters(9)), "scheduled")
    assert [names for worker, _, names in post.sent.values() if worker == "b"] == [
        ["m1"],
        ["m1", "m4", "m7"],
    ]


def test_while_a_worker_is_at_some_meters_it_is_asked_for_the_others(post: Post) -> None:
    remote = reads(post)
    remote.dispatch(remote.split(meters(2)[1:]), "scheduled")
    post.uptime_s += 60
    remote.dispatch(remote.split(meters(9)), "scheduled")
    assert [names for worker, _, names in post.sent.values() if worker == "b"] == [
        ["m1"],
        ["m4", "m7"],
    ]


def test_a_worker_that_is_still_at_its_last_batch_is_left_out_of_a_scheduled_poll(
    post: Post,
) -> None:
    remote = reads(post)
    first = remote.dispatch(remote.split(meters(9)), "scheduled")
    post.uptime_s += 60
    assert remote.dispatch(remote.split(meters(9)), "scheduled") == []
    assert len(remote.dispatch(remote.split(meters(9)), "on_demand")) == 2
    remote.end(first)
    assert len(remote.dispatch(remote.split(meters(9)), "scheduled")) == 2


def test_another_worker_stands_by_while_meters_are_read(post: Post) -> None:
    remote = reads(post)
    with remote.guarded(meters(2), "scheduled"):
        (ticket,) = remote.reading()
        assert post.sent["0"] == ("b", f"guard:{ticket}:scheduled", ["m0", "m1"])
        assert ticket in post.claimed
        assert post.replies == {}
    assert post.replies == {ticket: {"meters": {}}}
    assert remote.reading() == []


def test_a_standby_worker_does_not_read_meters_twice(post: Post) -> None:
    post.sent["ticket"] = ("a", "", [])
    read = reads(post).guard("ticket", meters(2), lambda _: pytest.fail(NEVER))
    assert read == {}


def test_a_standby_worker_reads_the_meters_of_a_killed_one(
    post: Post,
) -> None:
    post.sent["ticket"] = ("a", "", [])
    post.dying.add("a")
    read = reads(post).guard("ticket", meters(2), lambda found: {one.name: {} for one in found})
    assert list(read) == ["m0", "m1"]


def test_without_redis_no_worker_stands_by(post: Post) -> None:
    post.away = True
    with reads(post).guarded(meters(2), "scheduled"):
        assert post.sent == {}


def test_a_cancelled_poll_waits_for_no_other_worker(post: Post) -> None:
    def cancelled() -> None:
        raise KeyboardInterrupt

    remote = reads(post)
    batches = remote.dispatch(remote.split(meters(9)), "scheduled")
    with pytest.raises(KeyboardInterrupt):
        remote.gather(batches, cancelled, lambda _: {})


def test_an_inbox_answers_what_it_claims(post: Post) -> None:
    done: list[tuple[str, Sequence[str]]] = []

    def read_batch(kind: str, names: Sequence[str]) -> dict[str, Any]:
        done.append((kind, names))
        return {"meters": {}}

    inbox = BatchInbox(post, read_batch)
    post.claimed.add("taken")
    post.inbox = [
        {"kind": "scheduled", "meters": ["m1"], "ticket": ticket} for ticket in ("taken", "free")
    ]
    for _ in range(3):
        inbox.run_once()
    eventually(lambda: post.replies, what="the batch is answered")
    assert done == [("scheduled", ["m1"])]
    assert post.replies == {"free": {"meters": {}}}


def test_to_stand_by_for_others_takes_no_place_of_what_is_to_be_read(post: Post) -> None:
    poll_ends = threading.Event()

    def read_batch(kind: str, names: Sequence[str]) -> dict[str, Any]:
        if kind.startswith(GUARD):
            poll_ends.wait(LIMIT_S)
        return {"meters": dict.fromkeys(names)}

    inbox = BatchInbox(post, read_batch)
    guards = [
        {"kind": f"{GUARD}{number}:scheduled", "meters": ["m0"], "ticket": f"guard {number}"}
        for number in range(2 * PLACES)
    ]
    post.inbox = [*guards, {"kind": "scheduled", "meters": ["m1"], "ticket": "batch"}]
    for _ in range(len(guards) + 1):
        inbox.run_once()
    try:
        eventually(lambda: post.replies == {"batch": {"meters": {"m1": None}}})
    finally:
        poll_ends.set()
    eventually(lambda: len(post.replies) == len(guards) + 1)


def test_a_fresh_batch_is_left_to_its_worker(post: Post) -> None:
    post.deaf.add("b")
    post.wakes_at = post.uptime_s + TAKE_S - COLLECT_S
    _, again, answered, failed, _ = read(reads(post), meters(9))
    assert (again, len(answered), failed) == ([], 6, set())


def test_an_unanswered_batch_fails_in_time(post: Post) -> None:
    post.hanging.add("b")
    began = post.uptime_s
    _, again, answered, failed, _ = read(reads(post), meters(9))
    assert (again, len(answered), failed) == ([], 3, {"m1", "m4", "m7"})
    assert ANSWER_LIMIT_S <= post.uptime_s - began <= ANSWER_LIMIT_S + COLLECT_S
