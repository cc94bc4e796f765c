"""Tasks of a user's own, with Celery's documentation in hand."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.cli import Said, esquirell_process
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.broker.outage import cleanse
from esquirell.broker.queue import KEY_PREFIX, POLLS, queue_key

# Nothing of esquirell is needed in it: a user's tasks as Celery's first steps show them.
TASKS = """
import pathlib
import time

from celery import Task, current_app, shared_task
from celery.utils.log import get_task_logger
from celery.worker.request import Request

from my_other import imported


@shared_task
def add(x: int, y: int = 1):
    \"\"\"Add two numbers.\"\"\"
    return x + y


@shared_task
def total(numbers):
    return sum(numbers)


class Watched(Request):
    def on_accepted(self, pid, time_accepted):
        pathlib.Path(__file__).with_name("request").touch()
        super().on_accepted(pid, time_accepted)


class Noted(Task):
    def on_success(self, value, *_):
        pathlib.Path(__file__).with_name(f"noted {value}").touch()


class NotedAndWatched(Noted):
    Request = Watched


@shared_task(base=Noted)
def double(number: int):
    return 2 * number


@shared_task(base=NotedAndWatched)
def triple(number: int):
    return 3 * number


@shared_task
def fail(reason: str):
    raise ValueError(reason)


@shared_task(bind=True, max_retries=3)
def flaky(self, times: int):
    if self.request.retries < times:
        raise self.retry(countdown=0.1)
    return self.request.retries


@shared_task
def several(*numbers):
    return sum(numbers)


@shared_task
def wait_for(file: str):
    while not pathlib.Path(file).exists():
        time.sleep(0.1)


@shared_task(bind=True)
def lag(self, folder: str):
    began, retried = pathlib.Path(folder, "began"), pathlib.Path(folder, "retried")
    if self.request.retries:
        retried.touch()
    elif not began.exists():
        began.touch()
        raise self.retry(countdown=2.5)
    while not retried.exists():
        time.sleep(0.1)


@shared_task(soft_time_limit=60)
def note(text: str):
    get_task_logger(__name__).info("noted: %s", text)


@current_app.on_after_finalize.connect
def every_hour(sender, **_):
    sender.add_periodic_task(3600, note.s("an hour"), name="hourly note")
"""

OTHER = """
from celery import shared_task


@shared_task
def imported():
    return "imported"
"""

SHELL = """
import json

import esquirell.celery
from celery import chain, chord, group
from my_tasks import add, fail, flaky, total

said = {}
sent = add.delay(2, 3)
said["result"] = sent.get(timeout=60)
said["state"] = sent.state
said["chain"] = chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=60)
said["group"] = group(add.s(number) for number in range(5))().get(timeout=60)
said["chord"] = chord([add.s(number) for number in range(5)], total.s())().get(timeout=60)
said["retries"] = flaky.delay(2).get(timeout=60)
failed = fail.delay("too hot")
try:
    failed.get(timeout=60)
except ValueError as error:
    said["error"] = str(error)
said["failed"] = [failed.state, "too hot" in failed.traceback]
said["ignored"] = add.apply_async((1, 2), ignore_result=True).get(timeout=60)
print(json.dumps(said))
"""


OF_OTHER_CLASSES = """
import json
import esquirell.celery
from my_tasks import double, triple
print(json.dumps([task.delay(2).get(timeout=60) for task in (double, triple)]))
"""

SENT_AS_COMMANDS = """
import esquirell.celery
from my_tasks import wait_for
for _ in range(1100):
    wait_for.apply_async(["{file}"], queue="commands", ignore_result=True)
print(0)
"""

ASKED_BY_FLOWER = """
import json
from esquirell.celery import app
ask = app.control.inspect(timeout=60, limit=1)
(queues,) = ask.active_queues().values()
((refusal,),) = [reply.values() for reply in app.control.cancel_consumer(
    "polls", reply=True, timeout=60, limit=1)]
print(json.dumps([sorted(queue["name"] for queue in queues), refusal["error"]]))
"""

SENT_AS_WELL = """
import esquirell.celery
from my_tasks import wait_for
for _ in range(100):
    wait_for.apply_async(["{file}"], ignore_result=True)
print(0)
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    server = RedisProcess(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, redis: RedisProcess) -> Iterator[Service]:
    """A service with a meter that can't be reached, read every second."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "my_tasks.py").write_text(TASKS)
    (folder / "my_other.py").write_text(OTHER)
    config = configuration([meter_table("main", 1)], mqtt_port=1, redis_url=redis.url)
    service = Service(folder, f'tasks.modules = ["my_tasks"]\n{config}')
    service.start()
    eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
    yield service
    service.stop()


def in_a_shell(service: Service, text: str) -> Any:  # noqa: ANN401 - JSON is anything
    environment = os.environ | {"ESQUIRELL_CONFIG": str(service.config)}
    command = [sys.executable, "-c", text]
    run = subprocess.run(
        command, cwd=service.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def kept(redis: RedisProcess) -> set[str]:
    return {str(key) for key in redis.client.keys(f"{KEY_PREFIX}celery-task-meta-*")}


def test_results_chains_groups_and_chords_work(service: Service, redis: RedisProcess) -> None:
    assert in_a_shell(service, SHELL) == {
        "result": 5,
        "state": "SUCCESS",
        "chain": 10,
        "group": [1, 2, 3, 4, 5],
        "chord": 15,
        "retries": 2,
        "error": "too hot",
        "failed": ["FAILURE", True],
        "ignored": None,
    }
    times = [redis.client.ttl(key) for key in kept(redis)]
    assert times
    assert all(0 < int(time) <= 3600 for time in times)


def test_tasks_may_have_base_classes_and_requests_of_their_own(service: Service) -> None:
    assert in_a_shell(service, OF_OTHER_CLASSES) == [4, 6]
    for written in ("noted 4", "noted 6", "request"):
        eventually((service.folder / written).exists, what=written)


def test_what_celery_offers_and_this_service_does_not_is_said(service: Service) -> None:
    assert "periodic tasks of Celery are not run (hourly note): add them" in service.log
    assert "the time limit of my_tasks.note is not kept: threads have no time limits" in service.log


def test_what_a_task_logs_is_in_the_log(service: Service) -> None:
    send = "from my_tasks import note; import esquirell.celery; note.delay('warm'); print(0)"
    assert in_a_shell(service, send) == 0
    assert eventually(lambda: "noted: warm" in service.log, what=lambda: service.log)


def test_tasks_of_schedules_and_commands_leave_no_result(
    service: Service, redis: RedisProcess
) -> None:
    before = kept(redis)
    for words in (
        ("tasks", "run", "my_tasks.add", "--args", '{"x": 1}'),
        ("tasks", "run", "my_tasks.fail", "--args", '{"reason": "x"}'),
        ("schedule", "run", "fetch"),
        ("fetch",),
    ):
        esquirell_process(*words, "--config", str(service.config))
    assert len(service.rows("SELECT 1 FROM command_log WHERE ended_at IS NOT NULL")) == 4
    run = "SELECT last_run_at FROM schedule WHERE last_result = 'error'"
    assert eventually(lambda: service.rows(run), what="the schedule ran")
    assert kept(redis) <= before


def test_a_plain_task_is_run_and_scheduled_by_its_name(service: Service) -> None:
    def ask(*words: str) -> Said:
        return esquirell_process(*words, "--json", "--config", str(service.config))

    listed = ask("tasks", "list")
    names = [task["name"] for task in listed.json]
    assert {"my_tasks.add", "my_tasks.total"} <= set(names)
    assert "my_tasks.several can't be run by name: it takes *numbers; give it a model" in listed.err
    assert not {"my_tasks.several", "my_other.imported", "read_part"} & set(names)
    assert ask("tasks", "run", "my_tasks.add", "--args", '{"x": 1, "y": 2}').json["result"] == 3
    refused = ask("tasks", "run", "my_tasks.add", "--args", '{"x": "one"}')
    assert (refused.code, "args of my_tasks.add: x" in refused.err) == (2, True)
    arguments = ("--args", '{"x": 1}')
    added = ask("schedule", "add", "adding", "--every", "1", "--task", "my_tasks.add", *arguments)
    assert added.json["task"] == "my_tasks.add"
    ran = "SELECT 1 FROM schedule WHERE name = 'adding' AND last_result = 'ok'"
    assert eventually(lambda: service.rows(ran), what="it ran")


def test_scheduled_tasks_that_never_end_keep_no_meter_from_being_read(service: Service) -> None:
    """They hold all threads of the worker but those for polls; many more wait for one."""
    file = service.folder / "end"
    config = ("--config", str(service.config))
    arguments = ("--args", json.dumps({"file": str(file)}))
    rule = ("--every", "1", "--task", "my_tasks.wait_for", *arguments)
    names = [f"stuck-{number}" for number in range(6)]
    for name in names:
        assert esquirell_process("schedule", "add", name, *rule, *config).code == 0

    def last_results() -> set[str]:
        listed = esquirell_process("schedule", "list", "--json", *config).json
        return {str(one["last_result"]) for one in listed if one["name"] in names}

    try:
        assert in_a_shell(service, SENT_AS_WELL.format(file=str(file))) == 0
        skipped = {f"{name} is skipped while its earlier run has not ended" for name in names}
        eventually(lambda: all(one in service.log for one in skipped), what=lambda: service.log)
        eventually(lambda: service.log.count("stuck-0 is skipped") >= 5, what=lambda: service.log)
        failures = service.rows("SELECT failures FROM meter")
        eventually(lambda: service.rows("SELECT failures FROM meter") != failures)
        eventually(lambda: last_results() == {"skipped"}, what="a skipped run is shown")
    finally:
        file.touch()
    eventually(lambda: last_results() == {"ok"}, what="they go on when their runs ended")
    for name in names:
        esquirell_process("schedule", "remove", name, *config)


def test_any_number_of_commands_that_wait_holds_up_no_poll(service: Service) -> None:
    file = service.folder / "end-of-commands"
    try:
        assert in_a_shell(service, SENT_AS_COMMANDS.format(file=str(file))) == 0
        for _ in range(3):
            failures = service.rows("SELECT failures FROM meter")
            eventually(lambda: service.rows("SELECT failures FROM meter") != failures)  # noqa: B023 - run at once
    finally:
        file.touch()


def test_all_queues_that_are_taken_from_are_shown_and_none_of_ours_is_cancelled(
    service: Service,
) -> None:
    names, refusal = in_a_shell(service, ASKED_BY_FLOWER)
    assert names == ["commands", "polls", "tasks"]
    assert "taken as long as this worker runs" in refusal


def test_a_scheduled_task_is_retried_while_its_next_run_goes_on(service: Service) -> None:
    config = ("--config", str(service.config))
    arguments = ("--args", json.dumps({"folder": str(service.folder)}))
    rule = ("--every", "1", "--task", "my_tasks.lag", *arguments)
    assert esquirell_process("schedule", "add", "lagging", *rule, *config).code == 0
    retried = service.folder / "retried"
    try:
        eventually(retried.exists, what=lambda: service.log)
    finally:
        retried.touch()
        esquirell_process("schedule", "remove", "lagging", *config)


def test_a_fetch_without_a_reading_has_failed_and_is_logged_once(service: Service) -> None:
    said = in_a_shell(
        service,
        """
import json
from esquirell.domain.errors import FetchError
from esquirell.tasks import fetch_and_save_energy_data as fetch
sent = fetch.delay()
try:
    sent.get(timeout=60)
except FetchError as error:
    print(json.dumps([sent.state, error.code, str(error), error.meters["main"]["status"]]))
""",
    )
    assert said[:2] == ["FAILURE", "unreachable"]
    assert said[2].startswith("main (127.0.0.1:1) can't be reached")
    assert said[3] == "error"
    assert service.log.count("main (127.0.0.1:1) can't be reached") == 1
    assert "FetchError" not in service.log


def test_malformed_messages_are_discarded_and_work_continues(
    service: Service, redis: RedisProcess
) -> None:
    bodies = ("{", "[]", "null", '{"body": 1}', b"\xff\x00", '{"properties": {}, "headers": {}}')
    unknown = {
        "body": "W1tdLCB7fSwge31d",
        "headers": {"id": "some-id", "task": "my_tasks.gone", "lang": "py", "ignore_result": True},
        "properties": {
            "delivery_tag": "tag",
            "delivery_info": {"exchange": "", "routing_key": POLLS},
            "body_encoding": "base64",
        },
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    wrong = [unknown | {"body": body} for body in ("W10=", "bnVsbA==", "no base64!", 5)]
    known = {"headers": unknown["headers"] | {"task": "my_tasks.add"}}  # type: ignore[operator] # a dict
    messages: list[str | bytes] = [
        *bodies,
        *(json.dumps(one | known) for one in wrong),
        json.dumps(unknown),
    ]
    redis.client.rpush(queue_key(POLLS), *messages)
    said = "from my_tasks import add; import esquirell.celery; print(add.delay(1).get(timeout=60))"
    assert in_a_shell(service, said) == 2
    assert service.log.count("is discarded") == 1
    assert service.log.count("unknown task my_tasks.gone") == 1
    assert "unacked" not in str(redis.client.keys())


def test_all_that_a_service_writes_into_redis_is_known_as_its_own(redis: RedisProcess) -> None:
    """What is not would be discarded as a stranger's."""
    assert {str(key).split(":")[0] for key in redis.client.scan_iter()} == {"esquirell"}
    assert cleanse(redis.client) == []
