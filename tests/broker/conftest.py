from collections.abc import Iterator

import pytest
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, Client, connect


@pytest.fixture
def client(server: RedisProcess) -> Iterator[Client]:
    client = connect(Address(server.url))
    yield client
    client.close()
