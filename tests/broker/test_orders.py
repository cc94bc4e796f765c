"""Orders to all processes at once, through Redis."""

import pytest
from support.ports import free_port

from esquirell.broker.connection import Address, Client, connect
from esquirell.broker.outage import cleanse
from esquirell.broker.processes import ORDER_VALID_S, ORDERS, Orders
from esquirell.domain.errors import UnavailableError


def test_the_newest_of_each_kind_is_found_for_a_minute(client: Client) -> None:
    orders = Orders(client)
    assert orders.newest("restart") == {}
    first, second = orders.give("restart"), orders.give("restart")
    level = orders.give("log_level", "debug")
    assert first.id != second.id
    assert orders.newest("restart", "log_level") == {"restart": second, "log_level": level}
    assert 0 < int(client.ttl(f"{ORDERS}:restart")) <= ORDER_VALID_S
    assert cleanse(client) == []


@pytest.mark.parametrize("text", ["", "x", "{}", "[1]", "null", "7"])
def test_foreign_refusals_are_not_explained(client: Client, text: str) -> None:
    client.set(f"{ORDERS}:restart", text)
    assert Orders(client).newest("restart") == {}


def test_without_redis_one_error_says_so() -> None:
    away = Orders(connect(Address(f"redis://127.0.0.1:{free_port()}/0")))
    with pytest.raises(UnavailableError):
        away.give("restart")
    with pytest.raises(UnavailableError):
        away.newest("restart")
