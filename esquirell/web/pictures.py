"""Pictures in the language of the page, wide and narrow, and their style sheet."""

import hashlib
import json
from functools import cache
from html import escape

from esquirell.plots import svg
from esquirell.plots.figure import Figure
from esquirell.plots.readout import readout
from esquirell.plots.words import Words
from esquirell.web.texts import Texts


@cache
def words_of(texts: Texts) -> Words:
    """Return the words that stand in pictures."""
    return Words(
        tuple(texts(f"month.{number}") for number in range(1, 13)),
        tuple(texts(f"weekday.{number}") for number in range(1, 8)),
        texts("format.decimal"),
        texts("format.group"),
        texts("history.estimated"),
        texts("history.unexplained"),
        texts("history.others"),
        texts("history.left_out"),
        texts("history.nothing"),
    )


def readout_of(figure: Figure, texts: Texts) -> str:
    """Return what is shown under the cursor as JSON, escaped for an attribute in single quotes."""
    words = words_of(texts)
    data = json.dumps(
        readout(svg.as_drawn(figure, words), words), ensure_ascii=False, separators=(",", ":")
    )
    return escape(data, quote=False).replace("'", "&#39;")


def picture(figure: Figure, texts: Texts, name: str, *, narrow: bool = False) -> str:
    """Draw a figure; `name` tells several of a page apart."""
    width = svg.NARROW if narrow else svg.WIDE
    return svg.draw(figure, words_of(texts), width, name=f"{name}{'n' if narrow else 'w'}-")


@cache
def style() -> tuple[str, str]:
    """Return the style sheet of pictures, and what tells its version."""
    text = svg.style()
    return text, hashlib.sha256(text.encode()).hexdigest()[:16]
