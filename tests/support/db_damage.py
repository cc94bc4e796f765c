"""Databases with readings, and files that were damaged."""

import os
from pathlib import Path

from support.db_samples import sample

from esquirell.storage.database import Database
from esquirell.storage.readings import Readings


def store(database: Database, number: int) -> None:
    Readings(database).add([sample("main", second) for second in range(number)], {})


def damage(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(4096 * 2)
        opened.write(os.urandom(4096) * 40)
