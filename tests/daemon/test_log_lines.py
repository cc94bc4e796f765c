"""Log lines: for the journal, as JSON, and equal ones counted."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from esquirell.daemon import logs


def record(message: str = "hello", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("esquirell.x", level, __file__, 1, message, (), None)


def test_a_log_line_for_the_journal_carries_its_priority() -> None:
    line = logs.JournalFormatter("%(message)s").format(record("one\ntwo", logging.ERROR))
    assert line == "<3>one\n<3>two"


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


def test_lines_of_ours_that_differ_in_a_number_only_are_one_kind() -> None:
    """As a doubt about a value that changes with each reading; names end in numbers, too."""
    repeats = logs.Repeats(lambda: 0.0)

    def allowed(text: str) -> int:
        return sum(repeats.allows(record(text.format(number))) for number in range(20))

    assert allowed("meter m1: {} W is more than -2.5 V and 0.6 A allow") == 5
    assert allowed("meter m2: {} W is more than -2.5 V and 0.6 A allow") == 5
    assert allowed("meter m{}: no answer") == 20
    foreign = logging.LogRecord("my_tasks", logging.INFO, __file__, 1, "step %d", (1,), None)
    assert logs.kind_of(foreign) == "step 1"


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
