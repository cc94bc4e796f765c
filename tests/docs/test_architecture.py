"""The map for contributors is the code's own."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_package_is_on_it() -> None:
    packages = {file.parent.name for file in (ROOT / "esquirell").glob("*/__init__.py")}
    named = set(re.findall(r"^\| `esquirell/(\w+)` \|", MAP, re.MULTILINE))
    assert packages == named


def test_every_file_on_the_map_exists() -> None:
    named = set(re.findall(r"`((?:esquirell|config|tests|docs)/[\w./-]+)`", MAP + GUIDE))
    assert len(named) > 30
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_named_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", MAP + GUIDE))
    assert named
    assert named <= targets


RECIPES = re.findall(r"^\*\*(A [^*]+)\.\*\* (.*?)(?:\n\n|\Z)", MAP, re.MULTILINE | re.DOTALL)
# Words of the documents themselves: what is typed, and places in files that a contributor writes.
TYPED = re.compile(r"--json|make [a-z]+|esquirell .*|nav\.NAME|expected")


@pytest.mark.parametrize(("title", "recipe"), RECIPES, ids=[title for title, _ in RECIPES])
def test_names_in_recipes_are_in_the_files_they_mention(title: str, recipe: str) -> None:
    named = re.findall(r"`([^`]+)`", recipe)
    files = [file for name in named if "/" in name for file in files_of(ROOT / name)]
    assert files, title
    code = "\n".join(file.read_text() for file in files)
    symbols = [name for name in named if "/" not in name and not TYPED.fullmatch(name)]
    for symbol in symbols:
        last = symbol.removeprefix("@").rpartition(".")[2]
        assert re.search(rf"\b{re.escape(last)}\b", code), f"{symbol} is in none of the files"


def files_of(path: Path) -> list[Path]:
    """Return a file, or the text files of a folder."""
    found = path.rglob("*") if path.is_dir() else [path]
    return [file for file in found if file.suffix in {".py", ".toml", ".html", ".md", ".json"}]


def test_there_is_a_recipe_for_each_usual_change() -> None:
    titles = " ".join(title for title, _ in RECIPES)
    for change in ("quantity", "setting", "profile", "command", "command line", "task", "page"):
        assert change in titles
