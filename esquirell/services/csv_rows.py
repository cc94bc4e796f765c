"""CSV output, line by line: the only place where CSV is written.

Spreadsheets evaluate text that begins like a formula: such text is prefixed with an apostrophe, as
https://owasp.org/www-community/attacks/CSV_Injection advises. Numbers stay as they are.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from esquirell.domain.periods import Calendar
from esquirell.services.history import Columns, Row

if TYPE_CHECKING:
    # Loaded only for costs.
    from esquirell.services.costs import CostPeriod, CostRow

COST_COLUMNS = (
    *("start", "meter", "tariff", "currency", "energy_import", "import_cost"),
    *("energy_export", "export_credit", "fee", "total", "unpriced"),
)
# Including the full-width forms of these characters.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class _Lines:
    """A file-like object that returns each line."""

    def write(self, line: str) -> str:
        return line


def _written(lines: Iterable[Sequence[object]], separator: str = ",") -> Iterator[str]:
    writer = csv.writer(_Lines(), delimiter=separator, lineterminator="\n")
    return (writer.writerow([_cell(cell) for cell in line]) for line in lines)


def _cell(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if is_formula else value


def csv_lines(
    rows: Iterable[Row], columns: Columns, calendar: Calendar, separator: str = ","
) -> Iterator[str]:
    """Yield a heading and a line per row; null is empty, and a period has its local date."""
    return _written(_lines(rows, columns, calendar), separator)


def _lines(rows: Iterable[Row], columns: Columns, calendar: Calendar) -> Iterator[Sequence[object]]:
    several = ["meter"] if columns.several else []
    marks = ["estimated"] if columns.has_periods else []
    heading = [columns.time, *several, *columns.keys, *marks]
    yield heading
    for row in rows:
        shape = columns.shape(row)
        if row.estimated:
            shape["estimated"] = "true"
        if columns.view != "raw":
            shape[columns.time] = calendar.name(row.at, columns.view)
        yield [shape.get(name, "") for name in heading]


def cost_lines(
    rows: "Iterable[CostRow]", calendar: Calendar, period: "CostPeriod"
) -> Iterator[str]:
    """Yield a heading and a line per row."""
    shapes = (row.payload() | {"start": calendar.name(row.cost.start, period)} for row in rows)
    lines = ([shape[name] for name in COST_COLUMNS] for shape in shapes)
    return _written(chain([COST_COLUMNS], lines))
