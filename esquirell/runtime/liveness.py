"""What health checks query every minute, loaded by itself: loading takes longer than answering."""

import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from esquirell.broker.connection import connect
from esquirell.broker.processes import Presence
from esquirell.runtime.connections import address_of
from esquirell.settings import Settings
from esquirell.settings.urls import sqlite_file
from esquirell.storage import quick_query

__all__ = ["Presence", "failures_of_meters", "presence_of"]


@contextmanager
def presence_of(settings: Settings) -> Iterator[Presence]:
    """Open a connection to Redis, where the roles report that they are alive."""
    instance = f"{socket.gethostname()}-{os.getpid()}-cli"
    # It ends after a few questions: a test of the connection would be one more.
    with closing(connect(address_of(settings), keepalive_s=0)) as client:
        yield Presence(client, instance)


def failures_of_meters(settings: Settings) -> Mapping[str, int] | None:
    """Try to write a row to an SQLite file; return the failed polls of each meter, by name.

    None if that fails or the database is missing; `Database.try_out` says why.
    """
    file = sqlite_file(settings.database_url)
    try:
        if file is None:
            return None
        quick_query.try_out(Path(file))
        return quick_query.failures(Path(file))
    except sqlite3.Error:
        return None
