"""Flower over HTTP, beside workers that are restarted, or elsewhere."""

import time

import pytest
from support.flower_pages import LIMIT_S, House
from support.service import Service
from support.waiting import eventually

HOUR_S = 3600


def worker_of(house: House, name: str) -> Service:
    worker = house.start("worker --concurrency 1", name)
    eventually(lambda: "up as worker" in worker.log, LIMIT_S)
    return worker


def test_a_cancelled_task_stays_so_when_its_worker_is_killed(house: House) -> None:
    worker, (flower, pages) = worker_of(house, "first"), house.flower()
    running = pages.send("slow_tasks.sleep", seconds=30)
    pages.await_state(running, "STARTED")
    waiting = [pages.send("slow_tasks.sleep", seconds=0) for _ in range(4)]
    pages.await_state(waiting[0], "RECEIVED")
    told = [pages.post(f"/api/task/revoke/{task}").json["message"] for task in waiting]
    assert "it was waiting" in told[0]
    assert "discarded" in told[-1]
    worker.kill()
    after = worker_of(house, "second")
    last = pages.send("slow_tasks.sleep", seconds=0)
    pages.await_state(last, "SUCCESS")
    # The first was in the hands of the one that died, and comes back after minutes if at all.
    for task in waiting[1:]:
        assert pages.await_state(task, "REVOKED")["started"] is None
    assert after.stop() == 0
    assert flower.stop() == 0


def test_a_worker_in_another_time_zone_lives_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        worker = worker_of(house, "tokyo")
    flower, pages = house.flower()
    task = pages.send("slow_tasks.sleep", seconds=0)
    received = pages.await_state(task, "SUCCESS")["received"]
    assert abs(received - time.time()) < HOUR_S
    assert "drift" not in flower.log
    assert worker.stop() == 0
    assert flower.stop() == 0
