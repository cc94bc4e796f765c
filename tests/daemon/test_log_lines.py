"""Log lines: for the journal, as JSON, and equal ones counted."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from support.fakes import ReadingStore

from esquirell.daemon import logs
from esquirell.domain.reading import Outcome, Reading
from esquirell.services.statuses import Statuses

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def record(
    message: str = "hello", level: int = logging.WARNING, error: Exception | None = None
) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("esquirell.x", level, __file__, 1, message, (), raised)


def test_a_log_line_for_the_journal_carries_its_priority() -> None:
    line = logs.JournalFormatter("%(message)s").format(record("one\ntwo", logging.ERROR))
    assert line == "<3>one\n<3>  two"


@pytest.mark.parametrize(
    "shape", [logs.TerminalFormatter(str), logs.JournalFormatter("%(message)s")]
)
def test_what_others_sent_acts_in_no_terminal_and_begins_no_line(shape: logging.Formatter) -> None:
    line = shape.format(record("no meter \x1b[2J\x9b1m\u202e\n20:00:00 ERROR   all is lost"))
    assert "no meter \\x1b[2J\\x9b1m\\u202e\n" in line
    assert "\n20" not in line
    assert line.isascii()


@pytest.mark.parametrize(
    "shape", [logs.TerminalFormatter(str), logs.JournalFormatter("%(message)s")]
)
def test_the_text_of_an_error_begins_no_line(shape: logging.Formatter) -> None:
    error = ValueError("no meter\n20:00:00 ERROR   all is lost")
    first, *others = shape.format(record("it failed", logging.ERROR, error)).splitlines()
    assert first.endswith("it failed")
    assert others[-1].endswith("  20:00:00 ERROR   all is lost")
    assert all(line.removeprefix("<3>").startswith("  ") for line in others)


def test_equal_lines_are_counted() -> None:
    now = [0.0]
    repeats = logs.Repeats(lambda: now[0])

    def came(message: str, level: int = logging.WARNING) -> list[str]:
        """Return what is logged when a line comes."""
        due = [counted.getMessage() for counted in repeats.over()]
        return [*due, *([message] if repeats.allows(record(message, level)) else [])]

    assert [came("again") for _ in range(20)] == [["again"]] * 5 + [[]] * 15
    assert came("another") == ["another"]
    assert [came("again", logging.DEBUG) for _ in range(9)] == [["again"]] * 9
    now[0] = 59.0
    assert came("again") == []
    now[0] = 61.0
    assert came("more") == ["again (16 more times within a minute)", "more"]
    assert came("again") == ["again"]
    # What does not come again is not counted any longer, either.
    now[0] = 130.0
    assert came("more") == ["more"]
    assert repeats.counted == 1


def test_the_last_count_is_said_at_the_end() -> None:
    stream = io.StringIO()
    handler = logs.CountingHandler(stream)
    for _ in range(8):
        handler.handle(record("again"))
    handler.handle(record("done"))
    handler.close()
    lines = stream.getvalue().splitlines()
    assert lines == [*["again"] * 5, "done", "again (3 more times within a minute)"]


@pytest.mark.parametrize(
    "text",
    [
        "meter m{}: no answer",
        "{} (192.168.1.4:6668) can't be reached",
        "a wrong password for the page came from 192.168.1.{}",
    ],
)
def test_lines_that_differ_in_a_number_say_different_things(text: str) -> None:
    repeats = logs.Repeats(lambda: 0.0)
    assert sum(repeats.allows(record(text.format(number))) for number in range(20)) == 20


def test_a_doubt_about_a_value_that_flickers_is_counted_for_each_meter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says another number each time; a meter's name may be one."""
    caplog.set_level(logging.INFO)
    statuses, repeats = Statuses(ReadingStore()), logs.Repeats(lambda: 0.0)
    for number in range(20):
        doubts = (f"{number} W is more than -2.5 V and 0.6 A allow",) if number % 2 else ()
        read = {name: Outcome(Reading(name, NOON, {}, warnings=doubts)) for name in ("1", "2")}
        statuses.after(read, {"1": (), "2": ()})
    logged = [one.getMessage() for one in caplog.records if repeats.allows(one)]
    for name in ("1", "2"):
        said = [line for line in logged if line.startswith(f"meter {name}: ")]
        assert sum("has ended" in line for line in said) == logs.EQUAL_LINES
        assert sum(line.endswith("allow") for line in said) == 2 * logs.EQUAL_LINES


def test_lines_of_many_kinds_take_no_memory_without_bound() -> None:
    repeats = logs.Repeats(lambda: 0.0)
    for number in range(5000):
        repeats.over()
        assert repeats.allows(record(f"line of m{number}"))
    assert repeats.counted <= logs.LINES_COUNTED + 1


@pytest.fixture
def levels() -> Iterator[None]:
    """Restore the levels that a test changes."""
    names = ("", logs.TASKS, logs.SECRETIVE, *logs.ECHOING, *logs.CHATTY)
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("levels")
def test_what_a_library_raises_is_not_logged_by_it_as_well() -> None:
    # With a database that refuses, a line each second, and none equal to another.
    for level, is_logged in (("info", False), ("warning", False), ("debug", True)):
        logs.set_level(level)
        for name in ("psycopg", "redis.lock"):
            assert logging.getLogger(name).isEnabledFor(logging.WARNING) == is_logged
            assert logging.getLogger(name).isEnabledFor(logging.ERROR)


def test_a_log_line_as_json() -> None:
    entry = json.loads(logs.JsonFormatter().format(record('say "hi"')))
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "warning",
        "esquirell.x",
        'say "hi"',
    )
