"""The templates of the pages: what is kept of them, and what is returned."""

import traceback
from pathlib import Path

import pytest

from esquirell.web.site import FOLDER, Templates

PAGES = sorted(
    file.name
    for file in Path(str(FOLDER / "templates")).iterdir()
    if not file.name.startswith("_") and file.name != "base.html"
)


@pytest.fixture
def templates() -> Templates:
    return Templates(str(FOLDER / "templates"))


def test_loaded_pages_keep_only_their_code(templates: Templates) -> None:
    for name in PAGES:
        page = templates.load(name)
        assert templates.load(name) is page
        assert not page.code
        assert not hasattr(page, "file")
    # What they extend and include is part of each of them.
    assert templates.templates == {}


def test_an_error_while_a_page_is_rendered_can_still_be_logged(templates: Templates) -> None:
    page = templates.load("error.html")
    with pytest.raises(NameError) as raised:
        page.generate()
    assert "error_html.generated.py" in "".join(traceback.format_exception(raised.value))


def test_nothing_moves_for_people_who_want_less_motion() -> None:
    sheet = Path(str(FOLDER / "static" / "style.css")).read_text(encoding="utf-8")
    still, _, moving = sheet.partition("@media (prefers-reduced-motion: no-preference) {")
    for what in ("animation", "transition", "@keyframes", "scroll-behavior"):
        assert what not in still
    assert "animation" in moving
    assert moving.rstrip().endswith("}")
