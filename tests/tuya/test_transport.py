"""Which way a meter is read: locally, through the cloud, or again with another key."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.tuya_devices import (
    DPS,
    KEY,
    MEASURED,
    OTHER_KEY,
    LanReader,
    MakeTransport,
    a_meter,
    mock_device,
    simulated,
)
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import (
    ConfigError,
    EsquirellError,
    MeterUnreachableError,
)
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.transport import HOLD_S, Answered, LocalTransport, NoCloud, TuyaTransport

CLOUDY = Meter(name="cloudy", device_id="bf1", transport="cloud")
AWAY = MeterUnreachableError("cloud_error", "the cloud is away")


class Local(LocalTransport):
    """Answers at once, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: list[str] = []
        self.forgotten: list[str] = []
        self.ends: list[str] = []

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        for question in questions:
            self.asked.append(question.meter.name)
            answered(question, RawDatapoints(MEASURED))

    def hold(self, questions: Sequence[Question]) -> None:
        self.held += [question.meter.name for question in questions]

    def forget(self, meter_name: str) -> None:
        self.forgotten.append(meter_name)

    def abandon(self) -> None:
        self.ends.append("abandoned")

    def close(self) -> None:
        self.ends.append("closed")


class Sky(NoCloud):
    """A cloud that answers what a test wants, and remembers whether it was forced."""

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self._answer = answer
        self.forced: list[bool] = []

    def read(self, meter: Meter, *, forced: bool = False) -> Mapping[str, Any]:
        assert meter.transport == "cloud"
        self.forced.append(forced)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_each_meter_is_read_its_own_way() -> None:
    local, sky = Local(), Sky({"20": 2301})
    transport = TuyaTransport(local, sky)
    answers: dict[str, object] = {}
    done = threading.Semaphore(0)

    def answered(question: Question, answer: RawDatapoints | EsquirellError) -> None:
        assert isinstance(answer, RawDatapoints)
        answers[question.meter.name] = answer.values
        done.release()

    transport.ask([Question(CLOUDY, forced=True), Question(a_meter(1))], answered)
    assert done.acquire(timeout=LIMIT_S)
    assert done.acquire(timeout=LIMIT_S)
    assert answers == {"main": MEASURED, "cloudy": {"20": 2301}}
    assert (local.asked, sky.forced) == (["main"], [True])
    transport.ask([Question(CLOUDY)], answered)
    assert done.acquire(timeout=LIMIT_S)
    assert (local.asked, sky.forced) == (["main"], [True, False])
    transport.hold([Question(a_meter(1))])
    transport.forget("main")
    transport.abandon()
    transport.close()
    assert (local.held, local.forgotten) == (["main"], ["main"])
    assert local.ends == ["abandoned", "closed"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [(AWAY, "the cloud is away"), (ValueError("secret"), "unexpected error: ValueError")],
)
def test_any_fault_of_the_cloud_becomes_an_error(
    fault: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = TuyaTransport(Local(), Sky(fault))
    with pytest.raises(EsquirellError) as caught:
        transport.read(Question(CLOUDY))
    assert str(caught.value) == said
    assert ("unexpected error with the cloud" in caplog.text) == isinstance(fault, ValueError)
    transport.close()


def test_without_an_account_the_answer_says_what_to_configure() -> None:
    transport = TuyaTransport(Local(), NoCloud())
    with pytest.raises(MeterUnreachableError, match=r"cloudy is read .* api_key under \[cloud"):
        transport.read(Question(CLOUDY))
    transport.close()
    with pytest.raises(MeterUnreachableError, match="is stopping"):
        transport.read(Question(CLOUDY))


def test_an_unusable_lock_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(ConfigError, match=r"locks for locks can't be created \(File exists\)"):
        LanReader(tmp_path / "locks")


def test_a_meter_whose_settings_changed_gets_another_line(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.4") as device, simulated("3.4") as moved:
        meter = a_meter(device.port, "3.4")
        same = meter.model_copy(update={"label": "Main"})
        assert transport.dps(meter) == transport.dps(same) == DPS
        assert device.server.connections == 1
        assert transport.dps(a_meter(moved.port, "3.4")) == MEASURED
        eventually(lambda: not device.connected, what="the old line is closed")
        assert transport.dps(same) == DPS
        assert device.server.connections == 2


def test_a_released_meter_is_disconnected(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="held")
    with mock_device("3.4") as device:
        transport.hold([Question(a_meter(device.port, "3.4"))])
        eventually(lambda: transport.skip(1.0) or device.connected)  # type: ignore[func-returns-value]
        transport.hold([])
        eventually(lambda: not device.connected, what="the line is closed")


def test_holding_lines_waits_for_the_loop_unless_it_has_ended(
    make_transport: MakeTransport,
) -> None:
    transport, gate = make_transport(), threading.Event()

    def block() -> None:
        gate.wait(LIMIT_S)

    transport.loop.call(block)
    holding = threading.Thread(target=transport.hold, args=[[]])
    holding.start()
    holding.join(0.2)
    assert holding.is_alive()
    gate.set()
    holding.join(LIMIT_S)
    transport.close()
    began = time.monotonic()
    transport.hold([])
    assert time.monotonic() - began < HOLD_S


def test_a_forked_process_reads_nothing(make_transport: MakeTransport) -> None:
    transport = make_transport()
    transport.abandon()
    with pytest.raises(MeterUnreachableError, match="is stopping"):
        transport.dps(a_meter(1))


def test_a_refused_key_is_an_error_if_the_cloud_has_no_other(
    make_transport: MakeTransport,
) -> None:
    transport = TuyaTransport(make_transport(), NoCloud())
    with mock_device("3.4") as device:
        with pytest.raises(EsquirellError) as caught:
            transport.read(Question(a_meter(device.port, "3.4", OTHER_KEY)))
        assert OTHER_KEY not in str(caught.value)
        assert transport.read(Question(a_meter(device.port, "3.4", KEY))).values == DPS
    transport.close()
    with pytest.raises(MeterUnreachableError, match="is stopping"):
        transport.read(Question(a_meter(1)))
