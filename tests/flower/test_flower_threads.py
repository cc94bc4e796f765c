"""Flower over HTTP, beside a worker whose tasks run in threads."""

import re
from socket import gethostname
from urllib.parse import urlencode

import pytest
from support.flower_pages import ARGUMENT, FETCH, LIMIT_S, PASSWORD, SECRETS, House, Pages, said
from support.waiting import eventually

PAGES = ("/", "/workers", "/workers?json=1", "/tasks", "/broker", "/metrics", "/healthcheck")
API = ("/api/workers", "/api/workers?refresh=1", "/api/tasks", "/api/task/types")
OTHERS = ("/api/queues/length", "/static/js/flower.js", "/login", "/logout", "/nosuch")
WRITING = (
    "/api/task/async-apply/slow_tasks.sleep",
    "/api/task/send-task/slow_tasks.sleep",
    "/api/task/revoke/x",
    "/api/worker/shutdown/worker@x",
    "/tasks/datatable",
)
TABLE = urlencode(
    {
        "draw": 1,
        "start": 0,
        "length": 100,
        "order[0][column]": 0,
        "order[0][dir]": "asc",
        "columns[0][data]": "name",
    }
)


@pytest.fixture(scope="module")
def pages(house: House) -> Pages:
    worker = house.start("worker --concurrency 2", "worker")
    eventually(lambda: "up as worker" in worker.log, LIMIT_S)
    return house.flower()[1]


def test_nothing_is_shown_without_the_password(pages: Pages) -> None:
    stranger = Pages(pages.port, password="")
    asked = [stranger.get(path) for path in (*PAGES, *API, *OTHERS)]
    asked += [stranger.post(path) for path in WRITING]
    assert {reply.status for reply in asked} == {401}
    assert not any("worker" in reply.text for reply in asked)


@pytest.mark.parametrize("password", ["wrong", PASSWORD[:-1], "wröng"])
def test_a_few_wrong_passwords_make_an_address_wait(pages: Pages, password: str) -> None:
    address = f"127.0.0.{1 + sum(password.encode()) % 250}"
    guesses = Pages(pages.port, password=password, address=address)
    asked = [guesses.get("/tasks") for _ in range(300)]
    assert [reply.status for reply in asked] == [401] * 4 + [429] * 296
    assert 0 < int(asked[-1].headers["Retry-After"]) <= 60
    # Also with the right one, or a guess that is right would be known as such.
    assert Pages(pages.port, address=address).get("/tasks").status == 429
    assert pages.get("/tasks").status == 200, "others go on"


def test_another_page_can_neither_frame_it_nor_have_its_own_name_point_here(pages: Pages) -> None:
    asked = [pages.get(path) for path in ("/", "/static/js/flower.js", "/api/workers", "/nothing")]
    asked.append(Pages(pages.port, password="").get("/"))
    assert {one.headers["Content-Security-Policy"] for one in asked} == {"frame-ancestors 'none'"}
    stranger = Pages(pages.port)
    stranger.headers = {"Host": "evil.example:5555"}
    assert stranger.get("/tasks").status == 421
    for host in ("localhost:5555", "192.0.2.7", "[::1]:5555", f"{gethostname()}.local"):
        stranger.headers = {"Host": host}
        assert stranger.get("/tasks").status == 200, host


def test_with_the_password_all_pages_are_shown(pages: Pages) -> None:
    worker = pages.await_worker()
    asked = {path: pages.get(path).status for path in (*PAGES, *API, f"/worker/{worker}")}
    assert set(asked.values()) == {200}, asked


def test_a_task_is_seen_with_its_arguments_and_result(pages: Pages, house: House) -> None:
    assert said(house.fetch("main"))[0] == 0
    task = pages.task(pages.of(FETCH, "SUCCESS"))
    assert task["kwargs"] == "{'meters': ['main']}"
    assert "'main': {'status': 'ok'" in task["result"]
    assert task["runtime"] > 0
    assert task["worker"] == pages.await_worker()
    assert "flower_events_total" in pages.get("/metrics").text


def test_a_result_that_is_shown_cut_is_whole_in_the_api(pages: Pages) -> None:
    task = pages.call("async-apply", FETCH, meters=["main", "hung"]).json["task-id"]
    whole = pages.get(f"/api/task/result/{task}?timeout=30").json["result"]
    assert set(whole["meters"]) == {"main", "hung"}
    shown = pages.await_state(task, "SUCCESS")["result"]
    assert (", ..." in shown, len(shown) < len(str(whole))) == (True, True)


def test_a_failed_task_is_seen_as_failed(pages: Pages) -> None:
    task = pages.await_state(pages.send(FETCH, meters=["attic"]), "FAILURE")
    assert "there is no meter attic" in task["exception"]


def test_a_running_fetch_ends_at_its_next_step(pages: Pages, house: House) -> None:
    fetch = house.fetch("hung")
    task = pages.of(FETCH, "STARTED")
    assert pages.post(f"/api/task/revoke/{task}").status == 403
    reply = pages.post(f"/api/task/revoke/{task}", terminate="true")
    assert (reply.status, "next step" in reply.json["message"]) == (200, True)
    assert pages.await_state(task, "REVOKED")["result"] is None
    assert said(fetch) == (1, "esquirell: the task was cancelled\n")
    worker = house.services[0]
    (answer,) = worker.rows("SELECT answer FROM command_log WHERE id = ?", task)
    assert '"cancelled"' in str(answer)
    assert pages.post(f"/api/task/revoke/{task}", terminate="true").status == 409


def test_a_waiting_task_is_cancelled_and_a_running_one_that_never_checks_continues(
    pages: Pages,
) -> None:
    running = [pages.send("slow_tasks.sleep", seconds=4) for _ in range(2)]
    waiting = pages.send("slow_tasks.sleep", seconds=60)
    pages.await_state(waiting, "RECEIVED")
    for task in running:
        pages.await_state(task, "STARTED")
    assert "waiting" in pages.post(f"/api/task/revoke/{waiting}").json["message"]
    refused = pages.post(f"/api/task/revoke/{running[0]}", terminate="true")
    assert (refused.status, "a thread, which can't be killed" in refused.text) == (403, True)
    assert pages.await_state(waiting, "REVOKED")["started"] is None
    for task in running:
        pages.await_state(task, "SUCCESS")


def test_a_task_of_ones_own_that_looks_is_cancelled(pages: Pages, house: House) -> None:
    task = pages.send("slow_tasks.look", seconds=60)
    pages.await_state(task, "STARTED")
    path = f"/api/task/revoke/{task}"
    assert eventually(lambda: pages.post(path, terminate="true").status == 200, LIMIT_S)
    pages.await_state(task, "REVOKED")
    lines = [line for line in house.services[0].log.splitlines() if task in line]
    assert [line.split(maxsplit=2)[2] for line in lines] == [
        f"slow_tasks.look ({task}) was cancelled"
    ]


def test_tasks_are_run_by_the_api_and_their_results_shown(pages: Pages) -> None:
    assert pages.call("apply", "slow_tasks.add", 2, y=3).json["result"] == 5
    for way in ("async-apply", "send-task"):
        task = pages.call(way, "slow_tasks.add", 1).json["task-id"]
        assert pages.get(f"/api/task/result/{task}?timeout=30").json["result"] == 2
    failed = pages.call("apply", FETCH, meters=["attic"]).json
    assert (failed["state"], "there is no meter attic" in failed["result"]) == ("FAILURE", True)
    hidden = pages.call("apply", "slow_tasks.sleep", seconds=0, api_token=ARGUMENT)
    assert (hidden.json["result"]["password"], ARGUMENT in hidden.text) == ("***", False)


def test_what_the_api_is_asked_to_run_is_checked(pages: Pages) -> None:
    for way in ("apply", "async-apply", "send-task"):
        refused = pages.call(way, "slow_tasks.add", "one")
        assert (refused.status, "args of slow_tasks.add: x" in refused.text) == (400, True)
        assert pages.call(way, "slow_tasks.add", 1, 2, 3).status == 400
        assert pages.call(way, "slow_tasks.secret").status == 403


def test_the_pool_changes_its_size(pages: Pages) -> None:
    worker = pages.await_worker()
    size = pages.inspect(worker)["stats"]["pool"]["max-concurrency"]
    assert pages.post(f"/api/worker/pool/grow/{worker}", n=2).status == 200
    assert pages.inspect(worker)["stats"]["pool"]["max-concurrency"] == size + 2
    at_once = [pages.send("slow_tasks.sleep", seconds=2) for _ in range(size + 2)]
    for task in at_once:
        pages.await_state(task, "STARTED")
    assert {pages.task(task)["state"] for task in at_once} == {"STARTED"}
    assert pages.post(f"/api/worker/pool/shrink/{worker}", n=2).status == 200
    assert pages.inspect(worker)["stats"]["pool"]["max-concurrency"] == size
    for task in at_once:
        pages.await_state(task, "SUCCESS")


def test_impossible_actions_are_refused_in_a_sentence(pages: Pages, house: House) -> None:
    worker = pages.await_worker()
    limits = {"workername": worker, "hard": 3}
    refused = {
        pages.post(f"/api/worker/pool/shrink/{worker}", n=9): "a pool has 1 to 64 places",
        pages.post(f"/api/worker/pool/autoscale/{worker}", min=1, max=2): "by itself",
        pages.post(f"/api/worker/pool/restart/{worker}"): "restart the worker",
        pages.post(f"/api/task/timeout/{FETCH}", **limits): "threads have no time limits",
    }
    for reply, sentence in refused.items():
        assert reply.status == 403
        assert sentence in reply.text
    assert "Traceback" not in house.services[0].log
    assert "Traceback" not in house.services[1].log


def test_no_secret_is_on_any_page(pages: Pages) -> None:
    worker = pages.await_worker()
    done = pages.send("slow_tasks.sleep", seconds=0, api_token=ARGUMENT)
    pages.await_state(done, "SUCCESS")
    busy = [pages.send("slow_tasks.sleep", seconds=1.5, api_token=ARGUMENT) for _ in range(4)]
    pages.await_state(busy[0], "STARTED")
    tasks = [f"/task/{one}" for one in pages.tasks()] + [f"/api/task/info/{done}"]
    inspected = (f"/api/workers?refresh=1&workername={worker}", f"/worker/{worker}")
    table = f"/tasks/datatable?{TABLE}"
    for path in (*PAGES, *API, *OTHERS, *inspected, table, *tasks):
        text = pages.get(path).text
        assert not [secret for secret in SECRETS if secret in text], path
    assert "'api_token': '***'" in pages.task(done)["kwargs"]
    conf = pages.inspect(worker)["conf"]
    assert re.fullmatch(r"redis://.*\*\*@.*", conf["broker_url"]), conf["broker_url"]
    for task in busy:
        pages.await_state(task, "SUCCESS")
