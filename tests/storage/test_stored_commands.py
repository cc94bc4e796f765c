from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import bindparam, type_coerce, update
from sqlalchemy.types import NullType
from support.db_samples import START

from esquirell.domain.command import Answer, CommandRecord
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
from esquirell.storage.tables import command_log

LATER = START + timedelta(seconds=2)
FETCH = CommandRecord(
    "id-1", START, "mqtt", "fetch", {"meters": ["main"]}, "key-1", {"topic": "me/answers"}
)


@pytest.fixture
def log(database: Database) -> CommandLog:
    return CommandLog(database)


def test_a_command_is_stored_unchanged(log: CommandLog) -> None:
    log.record(FETCH)
    assert log.get("id-1") == FETCH


def test_an_unknown_command_is_not_found(log: CommandLog) -> None:
    assert log.get("id-1") is None


def test_the_stamp_changes_with_each_command_and_with_its_end(log: CommandLog) -> None:
    stamps = [log.stamp()]
    log.record(FETCH)
    stamps.append(log.stamp())
    log.finish("id-1", LATER, Answer("ok"))
    stamps.append(log.stamp())
    assert len(set(stamps)) == 3
    assert log.stamp() == stamps[-1]


@pytest.mark.parametrize(
    "answer",
    [
        Answer("ok", {"task_id": "id-1", "meters": {}}),
        Answer("error", {}, "main does not answer", "unreachable"),
    ],
)
def test_the_end_is_kept(log: CommandLog, answer: Answer) -> None:
    log.record(FETCH)
    log.finish("id-1", LATER, answer)
    found = log.get("id-1")
    assert found
    assert (found.ended_at, found.answer) == (LATER, answer)


def test_a_command_that_ended_at_once_is_kept_whole(log: CommandLog) -> None:
    record = CommandRecord("id-2", START, "cli", "list", ended_at=LATER, answer=Answer("ok"))
    log.record(record)
    assert log.get("id-2") == record


def test_the_first_end_stays(log: CommandLog) -> None:
    log.record(FETCH)
    log.finish("id-1", START, Answer("error", {}, "too late", "timeout"))
    log.finish("id-1", LATER, Answer("ok"))
    found = log.get("id-1")
    assert found
    assert found.answer == Answer("error", {}, "too late", "timeout")


def test_the_end_of_an_unknown_command_is_ignored(log: CommandLog) -> None:
    log.finish("id-1", START, Answer("ok"))
    assert log.recent(10) == []


def test_recording_twice_is_harmless(log: CommandLog) -> None:
    log.record(FETCH)
    log.finish("id-1", LATER, Answer("ok"))
    log.record(FETCH)
    assert [(record.id, record.ended_at) for record in log.recent(10)] == [("id-1", LATER)]


def test_recent_commands_come_newest_first(log: CommandLog) -> None:
    for second in range(5):
        at = START + timedelta(seconds=second)
        log.record(CommandRecord(f"id-{second}", at, "cli", "fetch"))
    assert [record.id for record in log.recent(3)] == ["id-4", "id-3", "id-2"]


def test_old_commands_are_forgotten(log: CommandLog) -> None:
    for second in range(5):
        at = START + timedelta(seconds=second)
        log.record(CommandRecord(f"id-{second}", at, "cli", "fetch"))
    assert log.prune(START + timedelta(seconds=3), 100) == 3
    assert [record.id for record in log.recent(10)] == ["id-4", "id-3"]


def test_a_flood_of_commands_leaves_the_newest_and_those_that_are_waited_for(
    log: CommandLog,
) -> None:
    for second in range(10):
        at = START + timedelta(seconds=second)
        log.record(CommandRecord(f"id-{second}", at, "mqtt", "fetch"))
        if second != 2:
            log.finish(f"id-{second}", at, Answer("error", {}, "refused", "invalid_payload"))
    assert log.prune(START - timedelta(days=1), 4) == 5
    assert [record.id for record in log.recent(10)] == ["id-9", "id-8", "id-7", "id-6", "id-2"]
    assert log.prune(START - timedelta(days=1), 4) == 0


def test_the_latest_command_with_a_key_is_found(log: CommandLog) -> None:
    for second in range(3):
        at = START + timedelta(seconds=second)
        log.record(CommandRecord(f"id-{second}", at, "mqtt", "fetch", transaction_key="key-1"))
    found = log.find("key-1", START)
    assert found
    assert found.id == "id-2"
    assert log.find("key-2", START) is None
    assert log.find("key-1", LATER + timedelta(seconds=1)) is None


def test_commands_without_a_key_are_never_the_same(log: CommandLog) -> None:
    log.record(CommandRecord("id-1", START, "cli", "fetch"))
    assert log.find(None, START) is None


def test_commands_that_did_not_end_are_found(log: CommandLog) -> None:
    for second in range(3):
        at = START + timedelta(seconds=second)
        log.record(CommandRecord(f"id-{second}", at, "cli", "fetch"))
    log.finish("id-0", LATER, Answer("ok"))
    assert [record.id for record in log.unended(START + timedelta(seconds=2))] == ["id-1"]


def test_an_end_waits_until_its_reply_was_sent(log: CommandLog) -> None:
    log.record(FETCH)
    log.record(CommandRecord("id-2", START, "cli", "fetch"))
    assert [(record.id, record.answer) for record in log.unanswered()] == [("id-1", None)]
    for name in ("id-1", "id-2"):
        log.finish(name, LATER, Answer("ok"))
    assert [(record.id, record.reply) for record in log.unanswered()] == [("id-1", FETCH.reply)]
    log.mark_answered("id-1")
    assert log.unanswered() == []


@pytest.mark.parametrize("damaged", ["{", "[]", "7", b"\xff", '{"foreign": 1}'])
@pytest.mark.parametrize("column", ["request", "reply", "answer"])
def test_an_entry_that_is_damaged_hides_no_other(
    sqlite: Database, column: str, damaged: object
) -> None:
    log = CommandLog(sqlite)
    for number in (1, 2):
        log.record(replace(FETCH, id=f"id-{number}", answer=Answer("ok"), ended_at=LATER))
    with sqlite.write() as connection:
        connection.execute(
            update(command_log)
            .where(command_log.c.id == "id-1")
            .values({column: type_coerce(bindparam("it"), NullType())}),
            {"it": damaged},
        )
    assert [record.id for record in log.recent(10)] == ["id-1", "id-2"]
    assert all(record.answer and record.answer.status == "ok" for record in log.recent(10))
    assert len(log.unanswered()) == 2
