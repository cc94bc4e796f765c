"""What health checks ask each minute, loaded without the rest: it takes longer than to answer."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from esquirell.broker.connection import connect
from esquirell.broker.presence import Presence
from esquirell.runtime.connections import address_of
from esquirell.settings import Settings
from esquirell.settings.urls import sqlite_file
from esquirell.storage.glance import has_meters

__all__ = ["Presence", "meters_are_stored", "presence_of"]


@contextmanager
def presence_of(settings: Settings) -> Iterator[Presence]:
    """Open a connection to Redis, where the roles say that they are alive."""
    instance = f"{socket.gethostname()}-{os.getpid()}-cli"
    with closing(connect(address_of(settings))) as client:
        yield Presence(client, instance)


def meters_are_stored(settings: Settings) -> bool | None:
    """Whether the meters can be read from an SQLite file; None if the database is none."""
    file = sqlite_file(settings.database_url)
    return None if file is None else has_meters(Path(file))
