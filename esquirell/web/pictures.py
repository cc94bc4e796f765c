"""Charts in the language of the page, wide and narrow, and their style sheet."""

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from html import escape

from esquirell.plots import svg
from esquirell.plots.axes import Frame
from esquirell.plots.box import colour_of
from esquirell.plots.figure import Figure
from esquirell.plots.shapes import readout
from esquirell.plots.words import Words
from esquirell.web.texts import Texts


@cache
def words_of(texts: Texts) -> Words:
    """Return the words used in charts."""
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
        texts("format.day"),
    )


def readout_of(figure: Figure, texts: Texts) -> str:
    """Return the read-out under the cursor as JSON, escaped for an attribute in single quotes."""
    words = words_of(texts)
    data = json.dumps(
        readout(svg.as_drawn(figure, words), words), ensure_ascii=False, separators=(",", ":")
    )
    return escape(data, quote=False).replace("'", "&#39;")


def live_of(figure: Figure, span: tuple[datetime, datetime], texts: Texts) -> str:
    """Return how to show the present power of meters on their curves, as JSON for an attribute.

    Empty if that is impossible: now is not in the span, or a meter has several curves.
    """
    drawn = svg.as_drawn(figure, words_of(texts))
    curves = [series for series in drawn.series if series.colour >= 0]
    meters = {series.meter for series in curves}
    alone = len(meters) == len(curves) > 0 and "" not in meters
    if drawn.kind != "lines" or drawn.panels or not alone or not _holds(span, datetime.now(UTC)):
        return ""
    begin, end = drawn.axis.span if isinstance(drawn.axis, Frame) else span
    data = {
        "from": begin.timestamp(),
        "until": end.timestamp(),
        "unit": 1000 if drawn.unit == "kW" else 1,
        "meters": [[series.meter, colour_of(series)] for series in curves],
    }
    return escape(json.dumps(data, separators=(",", ":")), quote=False).replace("'", "&#39;")


def _holds(span: tuple[datetime, datetime], moment: datetime) -> bool:
    return span[0] <= moment < span[1]


def picture(figure: Figure, texts: Texts, name: str, *, narrow: bool = False) -> str:
    """Draw a chart as SVG; `name` distinguishes several on a page."""
    width = svg.NARROW if narrow else svg.WIDE
    return svg.draw(figure, words_of(texts), width, name=f"{name}{'n' if narrow else 'w'}-")


@cache
def style() -> tuple[str, str]:
    """Return the style sheet of charts and its version."""
    text = svg.style()
    return text, hashlib.sha256(text.encode()).hexdigest()[:16]
