"""A plot of lines in plain text: how cost grows with the number of meters."""

import math
from collections.abc import Mapping

HEIGHT = 12
COLUMN = 12
MARGIN = 10


def plot(lines: Mapping[str, Mapping[int, float]]) -> str:
    """Draw each line with its letter; both axes are logarithmic, values in CPU ms per reading."""
    values = [value for line in lines.values() for value in line.values() if value > 0]
    columns = sorted({at for line in lines.values() for at in line})
    low, high = math.log10(min(values)), math.log10(max(values))
    rows = [[" "] * (COLUMN * len(columns)) for _ in range(HEIGHT)]
    letters = dict(zip(lines, "ABCDEFGH", strict=False))
    for name, line in lines.items():
        for at, value in line.items():
            row = round((math.log10(value) - low) / ((high - low) or 1) * (HEIGHT - 1))
            _place(rows[HEIGHT - 1 - row], columns.index(at) * COLUMN, letters[name])
    labels = [10 ** (high - (high - low) * row / (HEIGHT - 1)) for row in range(HEIGHT)]
    drawn = [
        f"{label:{MARGIN - 2}.2f} |{''.join(row).rstrip()}"
        for label, row in zip(labels, rows, strict=True)
    ]
    axis = " " * MARGIN + "".join(f"{at:<{COLUMN},}" for at in columns).rstrip() + " meters"
    legend = ", ".join(f"{letter} {name}" for name, letter in letters.items())
    return "\n".join(["CPU ms per reading", *drawn, axis, legend])


def _place(row: list[str], at: int, letter: str) -> None:
    """Write a letter, beside others that are there."""
    while row[at] != " ":
        at += 1
    row[at] = letter
