"""The README, the guides and their code blocks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "home-assistant-app" / "DOCS.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
# The closing fence is indented like the opening one.
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A code block of a page, without the page's indentation."""

    page: Path
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The command lines of a shell block; continued lines are joined."""
        return [
            line.strip() for line in self.text.replace("\\\n", " ").splitlines() if line.strip()
        ]


def blocks(*languages: str) -> Iterator[Block]:
    """Yield the blocks of all pages, or those in some languages."""
    for page in PAGES:
        for indent, language, text in _BLOCK.findall(page.read_text()):
            if not languages or language in languages:
                plain = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
                yield Block(page, language, plain)


def words(line: str) -> list[str]:
    """Split a command line as a shell does; comments are left out."""
    return shlex.split(line, comments=True)
