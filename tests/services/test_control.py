"""The log level and a restart, as they are asked for and reach all processes of a service."""

import pytest
from support.commanding import Bench, Orders, from_file

from esquirell.domain.command import Request
from esquirell.services.control import RESTART_AGAIN_S, Control


class Process:
    """One process of a service: what level it logs at, and whether it is to restart."""

    def __init__(self, orders: Orders, up_s: float = 100.0) -> None:
        self.now = 0.0
        self.control = Control(orders, monotonic=lambda: self.now)
        self.now = up_s
        self.level = "info"
        self.control.set_level = self.set_level

    def set_level(self, level: str) -> None:
        self.level = level


def test_a_level_is_in_effect_at_once_here_and_soon_elsewhere() -> None:
    orders = Orders()
    bridge, worker = Process(orders), Process(orders)
    worker.control.follow()
    bridge.control.change_level("debug")
    assert bridge.level == "debug"
    worker.control.follow()
    assert worker.level == "debug"


def test_an_invalid_level_changes_nothing() -> None:
    orders = Orders()
    worker = Process(orders)
    worker.control.follow()
    orders.give("log_level", "LOUD")
    worker.control.follow()
    assert worker.level == "info"


def test_a_process_that_starts_later_has_its_own_level() -> None:
    orders = Orders()
    Process(orders).control.change_level("debug")
    late = Process(orders)
    late.control.follow()
    assert late.level == "info"


def test_every_process_restarts_once() -> None:
    orders = Orders()
    bridge, worker = Process(orders), Process(orders)
    worker.control.follow()
    bridge.control.restart()
    for process in (bridge, worker):
        assert process.control.follow()
        assert process.control.restarting
        assert not process.control.follow()
    again = Process(orders, up_s=1.0)
    assert not again.control.follow()


def test_a_request_before_the_first_look_repeats_no_earlier_restart() -> None:
    orders = Orders()
    Process(orders).control.restart()
    again = Process(orders, up_s=1.0)
    again.control.change_level("debug")
    assert not again.control.follow()


def test_a_restart_is_refused_just_after_a_start() -> None:
    bench = Bench(from_file())
    bench.up_s = RESTART_AGAIN_S - 18
    answer = bench.ask("restart")
    assert answer["code"] == "unavailable"
    assert answer["error"] == "the service started 42 s ago: try again in 18 s"
    assert not bench.control.follow()


def test_an_order_from_before_redis_was_away_is_carried_out_after_it() -> None:
    orders = Orders()
    worker = Process(orders)
    worker.control.follow()
    orders.give("restart")
    orders.reachable = False
    assert not worker.control.follow()
    orders.reachable = True
    assert worker.control.follow()


def test_without_redis_the_process_that_was_asked_does_it_alone() -> None:
    orders = Orders()
    bridge = Process(orders)
    orders.reachable = False
    bridge.control.change_level("debug")
    bridge.control.restart()
    assert bridge.level == "debug"
    assert bridge.control.follow()


def test_an_unknown_level_is_refused() -> None:
    assert Bench(from_file()).code("log_level", level="loud") == "invalid_payload"


@pytest.mark.parametrize("name", ["log_level", "restart"])
def test_only_the_bridge_is_asked(name: str) -> None:
    for source in ("cli", "web", "api"):
        assert Bench(from_file()).commands.handle(Request(source, name)).code == "unknown_command"
