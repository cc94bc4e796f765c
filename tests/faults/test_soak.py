"""A long run: twenty meters each second, a fault at random each minute, nothing lost."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fault_bench import METERS, STEADY_S, Bench, Result, resident_mib

MINUTES = int(os.environ.get("SOAK_MINUTES", "0"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
# Memory is compared with what it was after a quarter of an hour: until then caches fill.
SETTLED_AFTER = 15
GROWTH_MIB = 2.0


def redis_gone(bench: Bench) -> None:
    bench.redis.kill()
    bench.steady(STEADY_S)
    bench.redis.start()


def redis_flushed(bench: Bench) -> None:
    bench.redis.client.flushall()


def redis_read_only(bench: Bench) -> None:
    bench.redis.client.replicaof("127.0.0.1", "1")
    bench.steady(STEADY_S)
    bench.redis.client.replicaof("NO", "ONE")


def broker_gone(bench: Bench) -> None:
    bench.broker.kill()
    bench.steady(STEADY_S)
    bench.broker.start()


def broker_frozen(bench: Bench) -> None:
    bench.broker.freeze()
    bench.steady(STEADY_S)
    bench.broker.thaw()


FAULTS: tuple[Callable[[Bench], None], ...] = (
    redis_gone,
    redis_flushed,
    redis_read_only,
    broker_gone,
    broker_frozen,
)


@pytest.mark.skipif(not MINUTES, reason="takes half an hour: make soak")
def test_soak(tmp_path: Path, results: list[Result]) -> None:
    chance = random.Random(SEED)
    memory: list[float] = []
    with Bench(tmp_path) as bench:
        for minute in range(MINUTES):
            fault = chance.choice(FAULTS)
            fault(bench)
            bench.grows()
            bench.steady(60 - STEADY_S)
            memory.append(resident_mib(bench.process_id))
            print(  # noqa: T201 - half an hour without a word is too long
                f"minute {minute + 1}: {fault.__name__}, {memory[-1]:.1f} MiB, {bench.taken} taken"
            )
        result = bench.finish(f"soak, {MINUTES} minutes, seed {SEED}")
        results.append(result)
        assert result.taken == result.stored
        assert result.taken > MINUTES * 30 * METERS
    settled = memory[SETTLED_AFTER:]
    if len(settled) > 1:
        assert max(settled) - settled[0] <= GROWTH_MIB, memory
