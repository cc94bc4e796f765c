"""Rows of the past as CSV, line by line, as files, the terminal's pipe and the page have them."""

import csv
from collections.abc import Iterable, Iterator

from esquirell.domain.periods import Calendar
from esquirell.services.costs import CostPeriod, CostRow
from esquirell.services.history import Columns, Row


class _Lines:
    """Hands on what a writer writes."""

    def write(self, line: str) -> str:
        return line


def csv_lines(
    rows: Iterable[Row], columns: Columns, calendar: Calendar, separator: str = ","
) -> Iterator[str]:
    """Yield a heading and a line per row; null is empty, and a period has its local date."""
    several = ["meter"] if columns.several else []
    marks = ["estimated"] if columns.has_periods else []
    heading = [columns.time, *several, *columns.keys, *marks]
    writer = csv.writer(_Lines(), delimiter=separator, lineterminator="\n")
    yield writer.writerow(heading)
    for row in rows:
        shape = columns.shape(row)
        if row.estimated:
            shape["estimated"] = "true"
        if columns.view != "raw":
            shape[columns.time] = calendar.name(row.at, columns.view)
        yield writer.writerow([shape.get(name, "") for name in heading])


def cost_lines(rows: Iterable[CostRow], calendar: Calendar, period: CostPeriod) -> Iterator[str]:
    """Yield a heading and a line per row, as `cost --format csv` prints them."""
    writer = csv.writer(_Lines(), lineterminator="\n")
    for number, row in enumerate(rows):
        shape = row.payload() | {"start": calendar.name(row.cost.start, period)}
        if number == 0:
            yield writer.writerow(shape)
        yield writer.writerow(shape.values())
