from collections.abc import Iterator
from pathlib import Path

import pytest
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, Client, connect


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def client(server: RedisProcess) -> Iterator[Client]:
    client = connect(Address(server.url))
    yield client
    client.close()
