"""Each statement of the page about security names a test that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
ROWS = [row for row in PAGE.read_text().splitlines() if re.match(r"\| [A-Z]", row)]


@pytest.mark.parametrize("row", ROWS)
def test_a_statement_has_its_test(row: str) -> None:
    ((file, name),) = re.findall(r"`([a-z_/]+\.py)::(\w+)` \|$", row)
    text = (ROOT / "tests" / file).read_text()
    assert re.search(rf"^def {name}\(", text, re.MULTILINE), row


def test_there_are_statements() -> None:
    assert len(ROWS) > 20
