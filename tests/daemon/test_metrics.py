"""The page that Prometheus reads, of a service that runs."""

import signal
import socket
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from urllib.error import URLError

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.fakes import NOON
from support.ports import free_port
from support.service import Service
from support.waiting import LIMIT_S, eventually

from esquirell.domain.reading import Reading
from esquirell.metrics import Exporter
from esquirell.tuya.simulator import SimulatedMeter

Figures = dict[tuple[str, tuple[str, ...]], float]


def figures(port: int) -> Figures:
    """Read the page: name and label values of each figure."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as page:
            text = page.read().decode()
    except URLError:
        return {}
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def measured(config: str, port: int) -> str:
    return f"{config}\n[metrics]\nport = {port}\n"


def test_polls_and_outages_are_counted(
    start: Callable[..., Service], measured: str, port: int
) -> None:
    start(measured)

    def seen() -> Figures:
        found = figures(port)
        return found if found.get(("esquirell_polls_total", ("main", "ok")), 0) >= 2 else {}

    found = eventually(seen)
    assert found["esquirell_poll_seconds_count", ()] >= 2
    assert found["esquirell_store_seconds_count", ()] >= 1
    assert found["esquirell_readings_stored_total", ()] >= 1
    assert found["esquirell_publish_seconds_count", ()] >= 1
    assert found["esquirell_spooled_readings", ()] == 0
    assert found["esquirell_meter_failures", ("main",)] == 0
    assert found["esquirell_meter_last_success_timestamp_seconds", ("main",)] > 1.7e9
    assert 200 < found["esquirell_voltage_volts", ("main", "a")] < 260
    assert ("esquirell_active_power_watts", ("main", "")) in found
    assert found["esquirell_energy_import_kwh_total", ("main", "")] > 0
    assert found["esquirell_build_info", (version("esquirell"),)] == 1


def test_a_reading_is_shown_while_it_holds() -> None:
    exporter = Exporter("0.1.0")
    read = exporter.show(lambda: ["main", "dead", "new"])
    read(Reading("main", NOON, {"active_power_pv1": -5.0}, holds_s=3600))
    read(Reading("dead", NOON, {"active_power": 7.0}, holds_s=0))
    page = generate_latest(exporter.registry).decode()
    assert 'esquirell_active_power_watts{meter="main",part="pv1"} -5.0' in page
    assert "dead" not in page


def test_a_reading_that_holds_for_hours_ends_with_its_meter(
    start: Callable[..., Service], measured: str, port: int
) -> None:
    def voltages() -> int | None:
        found = figures(port)
        return sum(name == "esquirell_voltage_volts" for name, _ in found) if found else None

    rare = measured.replace("every = 1\n", "every = 3600\n")
    assert rare != measured
    service = start(rare)
    eventually(voltages)
    service.config.write_text(rare.replace("[[meters]]", "[[meters]]\nenabled = false"))
    service.signal(signal.SIGHUP)
    eventually(lambda: voltages() == 0)


def test_a_meter_that_another_worker_reads_by_now_is_left_out() -> None:
    exporter = Exporter("0.1.0")
    mine = ["main", "attic"]
    read = exporter.show(lambda: mine)
    for name in mine:
        read(Reading(name, NOON, {"active_power": 7.0}, holds_s=3600))
    assert "attic" in generate_latest(exporter.registry).decode()
    mine.remove("attic")
    page = generate_latest(exporter.registry).decode()
    assert "main" in page
    assert "attic" not in page


def test_a_failing_meter_is_counted_by_its_reason(
    start: Callable[..., Service], measured: str, port: int, device: SimulatedMeter
) -> None:
    device.stop()
    start(measured)
    unreachable = ("esquirell_polls_total", ("main", "unreachable"))
    assert eventually(lambda: figures(port).get(unreachable, 0)) >= 1
    assert eventually(lambda: figures(port).get(("esquirell_role_up", ("bridge",)), 0)) == 1


def test_a_port_in_use_is_reported_and_the_service_goes_on(
    start: Callable[..., Service], measured: str, port: int
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        service = start(measured)
        eventually(lambda: f"can't listen on 127.0.0.1:{port}" in service.log)
        eventually(service.readings)
