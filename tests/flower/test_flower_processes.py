"""Flower over HTTP, beside a worker whose tasks run in processes that can be killed."""

import signal

import pytest
from support.flower_pages import FETCH, LIMIT_S, House, Pages, said
from support.waiting import eventually


@pytest.fixture(scope="module")
def pages(house: House) -> Pages:
    return house.flower()[1]


def test_running_tasks_are_killed_and_their_commands_cancelled(house: House, pages: Pages) -> None:
    worker = house.start("worker --pool prefork --concurrency 1", "worker")
    eventually(lambda: "up as worker" in worker.log, LIMIT_S)
    fetch = house.fetch("hung")
    task = pages.of(FETCH, "STARTED")
    reply = pages.post(f"/api/task/revoke/{task}", terminate="true")
    assert (reply.status, "killed" in reply.text) == (200, True)
    assert said(fetch) == (1, "esquirell: the task was cancelled\n")
    assert pages.await_state(task, "REVOKED")["result"] is None
    own = pages.send("slow_tasks.sleep", seconds=60)
    pages.await_state(own, "STARTED")
    assert pages.post(f"/api/task/revoke/{own}", terminate="true").status == 200
    pages.await_state(own, "REVOKED")
    assert f"slow_tasks.sleep ({own}) was cancelled" in worker.log
    # The next process works: it reads, stores, and has an MQTT connection of its own.
    assert said(house.fetch("main"))[0] == 0
    # On a slow machine the meter has reported by itself meanwhile.
    assert worker.readings() >= 1
    name = pages.await_worker()
    assert pages.post(f"/api/worker/pool/grow/{name}", n=1).status == 200
    eventually(lambda: len(pages.inspect(name)["stats"]["pool"]["processes"]) == 2, LIMIT_S)
    assert worker.stop() == 0
    assert "Traceback" not in worker.log


def test_a_task_whose_process_dies_has_failed(house: House) -> None:
    worker = house.start("worker --pool prefork --concurrency 1", "dying")
    eventually(lambda: "up as worker" in worker.log, LIMIT_S)
    died = house.ask("tasks", "run", "slow_tasks.die")
    code, told = said(died)
    assert (code, told.splitlines()[-1]) == (1, "esquirell: the process that ran the task has died")
    assert said(house.fetch("main"))[0] == 0
    assert worker.stop() == 0


def test_processes_say_that_they_keep_their_configuration(house: House) -> None:
    worker = house.start("worker --pool prefork --concurrency 1", "keeping")
    eventually(lambda: "up as worker" in worker.log, LIMIT_S)
    worker.signal(signal.SIGHUP)
    eventually(lambda: "restart this worker to change it" in worker.log, LIMIT_S)
    assert said(house.fetch("main"))[0] == 0
    assert worker.stop() == 0
