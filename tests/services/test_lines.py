"""Each meter has one owner, and keeps it."""

from collections import Counter
from collections.abc import Collection, Sequence

import pytest
from support.fakes import meter

from esquirell.domain.errors import UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.services import lines
from esquirell.services.lines import Lines


class Redis:
    """What all workers share."""

    def __init__(self) -> None:
        self.members: list[str] = []
        self.of: dict[str, str] = {}
        self.away = False


class Owners:
    """As broker.owners, in memory."""

    def __init__(self, redis: Redis, instance: str) -> None:
        self.instance = instance
        self._redis = redis

    def join(self, queue: str) -> list[str]:
        del queue
        self._check()
        if self.instance not in self._redis.members:
            self._redis.members.append(self.instance)
        return list(self._redis.members)

    def members(self, queue: str) -> list[str]:
        del queue
        return list(self._redis.members)

    def owners(self, queue: str) -> dict[str, str]:
        del queue
        self._check()
        return dict(self._redis.of)

    def claim(self, queue: str, meters: Collection[str]) -> set[str]:
        del queue
        self._check()
        for name in meters:
            owner = self._redis.of.get(name)
            if owner is None or owner not in self._redis.members:
                self._redis.of[name] = self.instance
        return {name for name in meters if self._redis.of[name] == self.instance}

    def hand(self, queue: str, meters: Collection[str], worker: str) -> None:
        del queue
        self._check()
        for name in meters:
            if self._redis.of.get(name) == self.instance:
                self._redis.of[name] = worker

    def leave(self, queue: str) -> None:
        del queue
        self._check()
        self._redis.members.remove(self.instance)

    def _check(self) -> None:
        if self._redis.away:
            raise UnavailableError("Redis is unreachable")


class Worker:
    now = 0.0

    def __init__(self, redis: Redis, name: str, house: Sequence[Meter]) -> None:
        self.name = name
        self.held: set[str] = set()
        self.due = 0.0
        self.lines = Lines(lambda: house, Question, self._hold, Owners(redis, name))
        self.lines.clock = lambda: Worker.now

    def _hold(self, questions: Sequence[Question]) -> None:
        self.held = {question.meter.name for question in questions}


@pytest.fixture(autouse=True)
def _clock() -> None:
    Worker.now = 0.0


@pytest.fixture
def redis() -> Redis:
    return Redis()


HOUSE = [meter(f"m{number:03}") for number in range(300)]


def turns(count: int, *workers: Worker) -> None:
    """Let the workers look for so many seconds; no line is ever held by two of them."""
    for _ in range(count):
        Worker.now += 1
        for worker in workers:
            if Worker.now >= worker.due:
                worker.due = Worker.now + worker.lines.run_once()
            held = Counter(name for one in workers for name in one.held)
            assert not [name for name, times in held.items() if times > 1]


def test_a_single_worker_owns_all_meters(redis: Redis) -> None:
    worker = Worker(redis, "a", HOUSE)
    assert worker.lines.run_once() == lines.ALONE_TURN_S
    assert len(worker.held) == 300
    assert redis.of == {}
    assert not worker.lines.shared


@pytest.mark.parametrize("count", [2, 3])
def test_a_joining_worker_gets_its_share_within_a_minute(redis: Redis, count: int) -> None:
    workers = [Worker(redis, "a", HOUSE)]
    turns(1, *workers)
    workers += [Worker(redis, name, HOUSE) for name in "bc"[: count - 1]]
    for _ in range(60):
        before = len(workers[0].held)
        turns(1, *workers)
        assert before - len(workers[0].held) <= 10
    shares = [len(worker.held) for worker in workers]
    assert sum(shares) == 300
    assert max(shares) - min(shares) <= count


def test_owners_stay_the_same(redis: Redis) -> None:
    workers = [Worker(redis, name, HOUSE) for name in "ab"]
    turns(60, *workers)
    before = [set(worker.held) for worker in workers]
    turns(60, *workers)
    assert [worker.held for worker in workers] == before


def test_meters_of_a_vanished_worker_are_taken_over(redis: Redis) -> None:
    workers = [Worker(redis, name, HOUSE) for name in "abc"]
    turns(60, *workers)
    gone = workers.pop()
    redis.members.remove(gone.name)
    turns(12, *workers)
    assert sum(len(worker.held) for worker in workers) == 300


def test_a_worker_that_ends_releases_its_meters_at_once(redis: Redis) -> None:
    one, other = (Worker(redis, name, HOUSE) for name in "ab")
    turns(60, one, other)
    other.lines.leave()
    turns(2, one)
    assert len(one.held) == 300


def test_an_outage_of_redis_changes_nothing(redis: Redis) -> None:
    workers = [Worker(redis, name, HOUSE) for name in "ab"]
    turns(60, *workers)
    before = [set(worker.held) for worker in workers]
    redis.away = True
    turns(5, *workers)
    assert [worker.held for worker in workers] == before


def test_without_redis_from_the_start_lines_are_held(redis: Redis) -> None:
    redis.away = True
    worker = Worker(redis, "a", HOUSE)
    worker.lines.run_once()
    assert len(worker.held) == 300


def test_after_a_flush_everyone_keeps_what_it_holds(redis: Redis) -> None:
    workers = [Worker(redis, name, HOUSE) for name in "ab"]
    turns(60, *workers)
    before = [set(worker.held) for worker in workers]
    redis.members.clear()
    redis.of.clear()
    turns(20, *workers)
    assert [worker.held for worker in workers] == before


def test_other_workers_know_the_owner_of_a_meter(redis: Redis) -> None:
    one, other = (Worker(redis, name, HOUSE) for name in "ab")
    turns(60, one, other)
    for house_meter in HOUSE:
        owner = "a" if house_meter.name in one.held else "b"
        assert one.lines.owner(house_meter) == (None if owner == "a" else "b")
        assert other.lines.owner(house_meter) == (None if owner == "b" else "a")


def test_meters_without_held_lines_have_an_owner_too(redis: Redis) -> None:
    house = [
        meter("pushes"),
        meter("polled", push=False),
        meter("cloud", transport="cloud"),
        meter("off", enabled=False),
    ]
    worker = Worker(redis, "a", house)
    worker.lines.run_once()
    assert worker.held == {"pushes"}
    assert [worker.lines.is_mine(one) for one in house] == [True, True, True, False]


def test_two_workers_share_two_meters(redis: Redis) -> None:
    house = HOUSE[:2]
    workers = [Worker(redis, "a", house)]
    turns(1, *workers)
    workers.append(Worker(redis, "b", house))
    turns(60, *workers)
    assert [len(worker.held) for worker in workers] == [1, 1]


def test_a_meter_of_another_queue_is_asked_of_a_worker_that_is_there(redis: Redis) -> None:
    worker = Worker(redis, "a", HOUSE)
    elsewhere = meter("yard", queue="yard")
    with pytest.raises(LookupError):
        worker.lines.owner(elsewhere)
    redis.members = ["gardener"]
    redis.of["yard"] = "one that is gone"
    assert worker.lines.owner(elsewhere) == "gardener"


def test_of_three_workers_each_knows_which_one_reads_a_meter(redis: Redis) -> None:
    house = HOUSE[:9]
    workers = [Worker(redis, name, house) for name in "abc"]
    turns(60, *workers)
    for one in house:
        (owner,) = (worker.name for worker in workers if one.name in worker.held)
        asked = {worker.name: worker.lines.owner(one) for worker in workers}
        assert asked == {name: None if name == owner else owner for name in "abc"}
