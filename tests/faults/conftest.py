import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.db_postgres import PostgresServer, running_postgres
from support.fault_bench import Result

RESULTS: list[Result] = []
HEAD = """| fault | taken | stored | not stored | longest pause of a meter | `health` said |
|---|---|---|---|---|---|"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("FAULTS") or os.environ.get("SOAK_MINUTES"):
        return
    skip = pytest.mark.skip(reason="takes half an hour: make faults")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


@pytest.fixture
def results() -> list[Result]:
    return RESULTS


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if RESULTS:
        terminalreporter.write_line("\n".join([HEAD, *(result.row for result in RESULTS)]))
