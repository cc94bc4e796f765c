"""Reads meters over the local network, and hears what they report by themselves."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.domain.heard import Heard, Question
from esquirell.domain.meter import Meter
from esquirell.tuya.errors import stopped
from esquirell.tuya.lan.network import Network

if TYPE_CHECKING:
    from esquirell.tuya.lan.device import Device

CUTS = 64
HOLD_S = 2.0

Answered = Callable[[Question, Heard | EsquirellError], None]


class Transport:
    """What all ways to the meters have in common."""

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Ask several meters side by side; `answered` gets each answer, in any thread."""
        raise NotImplementedError

    def read(self, question: Question) -> Heard:
        """Ask one meter and wait. Raises MeterUnreachableError or MeterRejectedError."""
        answers: SimpleQueue[Heard | EsquirellError] = SimpleQueue()
        self.ask([question], lambda _, answer: answers.put(answer))
        answer = answers.get()
        if isinstance(answer, EsquirellError):
            raise answer
        return answer


class LocalTransport(Transport):
    """Asks the devices of a network, each of which is read by one process at a time.

    All of them live in the thread of the network's loop.
    """

    def __init__(self, network: Network) -> None:
        try:
            network.lock_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder {network.lock_dir} for locks can't be created ({error.strerror}): "
                "set state_dir to a folder that esquirell may write to"
            ) from error
        self._network = network
        self._lock = threading.Lock()
        self._closed = False
        self._cuts: deque[tuple[float, str]] = deque(maxlen=CUTS)
        self._devices: dict[tuple[object, ...], Device] = {}
        self._lines: dict[str, tuple[object, ...]] = {}

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Ask several meters side by side; `answered` gets each answer, in the loop's thread."""
        with self._lock:
            if not self._closed:
                self._network.loop.call(lambda: self._ask(questions, answered))
                return
        for question in questions:
            answered(question, stopped(question.meter))

    def hold(self, questions: Sequence[Question]) -> None:
        """Hold the lines of these meters from now on, as far as `keep` says so; close others.

        The questions tell what is to be asked when a line was opened.
        """
        done = threading.Event()

        def hold() -> None:
            try:
                self._hold(questions)
            finally:
                done.set()

        if self._call(hold):
            done.wait(HOLD_S)

    def forget(self, meter_name: str) -> None:
        """Drop the line to a meter and what is remembered of it."""
        self._call(lambda: self._forget(meter_name))

    def abandon(self) -> None:
        """Close this process's copies of lines and locks, which a fork gave it."""
        self._closed = True
        for device in self._devices.values():
            device.abandon()
        self._devices.clear()

    def close(self) -> None:
        """Break off the reads under way, close all lines and read no more."""
        self._network.finder.stop()
        with self._lock:
            was_closed, self._closed = self._closed, True
            if not was_closed:
                self._network.loop.call(self._end)
        if not was_closed:
            self._network.loop.close()

    def _call(self, function: Callable[[], None]) -> bool:
        with self._lock:
            if not self._closed:
                self._network.loop.call(function)
            return not self._closed

    def _ask(self, questions: Sequence[Question], answered: Answered) -> None:
        # tinytuya takes some megabytes, which a process that reads no meters does without.
        from esquirell.tuya.lan.device import Read  # noqa: PLC0415

        for question in questions:
            device = self._device_of(question.meter)
            device.ask(Read(question, partial(answered, question)))

    def _hold(self, questions: Sequence[Question]) -> None:
        for question in questions:
            self._device_of(question.meter).child_of(question.meter).question = question
        for device in list(self._devices.values()):
            device.wake()

    def _device_of(self, meter: Meter) -> "Device":
        from esquirell.tuya.lan.device import Device  # noqa: PLC0415

        line = _line_of(meter)
        if self._lines.get(meter.name, line) != line:
            self._forget(meter.name)
        self._lines[meter.name] = line
        if line not in self._devices:
            self._devices[line] = Device(meter, self._network, self._cuts)
        return self._devices[line]

    def _forget(self, meter_name: str) -> None:
        line = self._lines.pop(meter_name, None)
        if line is not None and self._devices[line].drop(meter_name):
            del self._devices[line]

    def _end(self) -> None:
        for device in self._devices.values():
            device.end()
        self._devices.clear()


def _line_of(meter: Meter) -> tuple[object, ...]:
    """Tell lines apart: meters behind one gateway share one, others share none."""
    key = meter.local_key.get_secret_value()
    way = (meter.lan_id, meter.address, meter.port, key, meter.protocol)
    return way if meter.cid else (meter.name, meter.device_id, *way)
