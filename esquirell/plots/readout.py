"""The text for one step of a chart: the title of a bar, and the read-out under the cursor."""

from esquirell.plots.figure import Figure, Point
from esquirell.plots.legend import colour_of
from esquirell.plots.words import RANGE, Words


def step_text(figure: Figure, number: int, words: Words) -> str:
    """Return the lines that describe a step."""
    values = [
        f"{series.name}: {value_of(figure, series.points[number], words)}"
        for series in figure.series
        if number in series.points
    ]
    return "\n".join([figure.axis.title(number, words), *values])


def readout(figure: Figure, words: Words) -> dict[str, object]:
    """Return what a script shows for each step: its place (fraction of the width), name, values.

    For a figure as it is drawn: reduced and scaled. Panels have none: side by side they suffice.
    """
    if figure.panels:
        return {}
    numbers = sorted({number for series in figure.series for number in series.points})
    return {
        "at": [round((number + 0.5) / figure.axis.count, 5) for number in numbers],
        "steps": [figure.axis.title(number, words) for number in numbers],
        "series": [
            {
                "name": series.name,
                "colour": colour_of(series),
                "values": [
                    value_of(figure, series.points[number], words)
                    if number in series.points
                    else ""
                    for number in numbers
                ],
            }
            for series in figure.series
        ],
    }


def value_of(figure: Figure, point: Point, words: Words) -> str:
    """Return the value of a point as text: its mean and range."""
    text = f"{words.number(point.mean, figure.decimals)} {figure.unit}".rstrip()
    if point.high > point.low:
        low, high = (words.number(end, figure.decimals) for end in (point.low, point.high))
        text = f"{text} ({low} {RANGE} {high})"
    return f"{text} ({words.estimated})" if point.estimated else text
