"""A process that stores readings: URL, meter and number of readings come by standard input.

It prints each reading on standard output after it was stored.
"""

import json
import sys

from support.db_samples import sample

from esquirell.domain.reading import MeterStatus
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings


def main() -> None:
    task = json.load(sys.stdin)
    database = Database(task["url"])
    ensure_current(database)
    readings = Readings(database)
    for number in range(task["readings"]):
        taken = [sample(meter, number + task["offset"]) for meter in task["meters"]]
        statuses = {meter: MeterStatus(number % 3) for meter in task["meters"]}
        readings.add(taken, statuses)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    database.close()


if __name__ == "__main__":
    main()
