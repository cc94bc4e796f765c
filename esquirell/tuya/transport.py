"""Reads each meter as configured: over the LAN or through the cloud."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from esquirell.domain.errors import (
    ConfigError,
    EsquirellError,
    MeterError,
    MeterUnreachableError,
)
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.errors import stopped
from esquirell.tuya.lan.access import Losses
from esquirell.tuya.lan.network import Network

if TYPE_CHECKING:
    from esquirell.tuya.cloud.cloud import Cloud, CloudKeys
    from esquirell.tuya.lan.device import Device


HOLD_S = 2.0

Answered = Callable[[Question, RawDatapoints | EsquirellError], None]


class Transport:
    """Base class of the ways to read meters."""

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Read several meters in parallel; `answered` gets each answer, in any thread."""
        raise NotImplementedError

    def read(self, question: Question) -> RawDatapoints:
        """Read one meter and wait. Raises MeterUnreachableError or MeterRejectedError."""
        answers: SimpleQueue[RawDatapoints | EsquirellError] = SimpleQueue()
        self.ask([question], lambda _, answer: answers.put(answer))
        answer = answers.get()
        if isinstance(answer, EsquirellError):
            raise answer
        return answer


class LocalTransport(Transport):
    """Reads the devices on a network, each by one process at a time.

    All of them are handled in the thread of the network's loop.
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
        self._losses = Losses()
        self._devices: dict[tuple[object, ...], Device] = {}
        # The device of each meter, as configured at that time.
        self._lines: dict[str, tuple[Meter, tuple[object, ...]]] = {}

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Read several meters in parallel; `answered` gets each answer, in the loop's thread."""
        with self._lock:
            if not self._closed:
                self._network.loop.call(lambda: self._ask(questions, answered))
                return
        for question in questions:
            answered(question, stopped(question.meter))

    def hold(self, questions: Sequence[Question]) -> None:
        """Keep the lines of these meters open, as far as `keep` allows; close all others.

        The questions are what to ask when a line is opened.
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
        """Close the line to a meter and forget its state."""
        self._call(lambda: self._forget(meter_name))

    def abandon(self) -> None:
        """Close this process's copies of lines and locks after a fork."""
        self._closed = True
        for device in self._devices.values():
            device.abandon()
        self._devices.clear()

    def close(self) -> None:
        """Cancel the reads in progress, close all lines and read no more."""
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
        # tinytuya takes some megabytes: loaded only by processes that need it.
        from esquirell.tuya.lan.device import Read  # noqa: PLC0415

        for question in questions:
            device = self._device_of(question.meter)
            device.ask(Read(question, partial(answered, question)))

    def _hold(self, questions: Sequence[Question]) -> None:
        for question in questions:
            self._device_of(question.meter).child_of(question.meter).question = question
        names = {question.meter.name for question in questions}
        for device in list(self._devices.values()):
            device.hold(names)

    def _device_of(self, meter: Meter) -> "Device":
        from esquirell.tuya.lan.device import Device  # noqa: PLC0415

        configured, line = self._lines.get(meter.name, (None, ()))
        if configured is not meter:
            if configured is not None and line != _line_key(meter):
                self._forget(meter.name)
            line = _line_key(meter)
            self._lines[meter.name] = meter, line
            if line not in self._devices:
                self._devices[line] = Device(meter, self._network, self._losses)
        return self._devices[line]

    def _forget(self, meter_name: str) -> None:
        _, line = self._lines.pop(meter_name, (None, None))
        if line is not None and self._devices[line].drop(meter_name):
            del self._devices[line]

    def _end(self) -> None:
        for device in self._devices.values():
            device.end()
        self._devices.clear()


def _line_key(meter: Meter) -> tuple[object, ...]:
    """Return what identifies a line: meters behind one gateway share it, others do not."""
    key = meter.local_key.get_secret_value()
    way = (meter.lan_id, meter.address, meter.port, key, meter.protocol)
    return way if meter.cid else (meter.name, meter.device_id, *way)


log = logging.getLogger(__name__)

CLOUD_THREADS = 8


class NoCloud:
    """The cloud when no account is configured."""

    def read(self, meter: Meter, *, forced: bool = False) -> Mapping[str, Any]:
        """Raise MeterUnreachableError (`cloud_error`)."""
        del forced
        raise MeterUnreachableError(
            "cloud_error", f"{meter.name} is read through the cloud: set api_key under [cloud]"
        )


class TuyaTransport(Transport):
    """Chooses between the local network and the cloud.

    With `keys`, a meter that refuses its local key is tried with the cloud's. Requests to the
    cloud run in threads of their own, which end when idle.
    """

    def __init__(
        self, local: LocalTransport, cloud: "Cloud | NoCloud", keys: "CloudKeys | None" = None
    ) -> None:
        self._local = local
        self._cloud = cloud
        self._keys = keys
        self._threads = ThreadPoolExecutor(CLOUD_THREADS, thread_name_prefix="cloud")

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Read several meters in parallel; `answered` gets each answer, in any thread.

        An error is a MeterError.
        """
        local = [question for question in questions if question.meter.transport == "local"]
        if local:
            self._ask_locally(local, answered)
        for question in questions:
            if question.meter.transport == "cloud":
                self._submit(partial(self._ask_cloud, question, answered), question, answered)

    def hold(self, questions: Sequence[Question]) -> None:
        """Keep the lines of these meters open, and no others."""
        self._local.hold([self._with_key(question) for question in questions])

    def forget(self, meter_name: str) -> None:
        """Close the line to a meter and forget its state."""
        self._local.forget(meter_name)

    def abandon(self) -> None:
        """Close all lines in a forked process: they belong to its parent."""
        self._local.abandon()

    def close(self) -> None:
        """Cancel the reads in progress, close all lines and read no more."""
        self._local.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _with_key(self, question: Question) -> Question:
        if self._keys is None:
            return question
        return replace(question, meter=self._keys.with_key(question.meter))

    def _ask_locally(self, questions: Sequence[Question], answered: Answered) -> None:
        asked = {question.meter.name: question for question in questions}

        def check(question: Question, answer: RawDatapoints | EsquirellError) -> None:
            self._check(asked[question.meter.name], answer, answered)

        self._local.ask([self._with_key(question) for question in questions], check)

    def _check(
        self, question: Question, answer: RawDatapoints | EsquirellError, answered: Answered
    ) -> None:
        """Pass an answer on, unless the key was refused and the cloud may have a newer one."""
        keys = self._keys
        if keys is None or not keys.worth_asking(question.meter, answer):
            answered(question, answer)
            return

        def retry() -> None:
            if keys.renewed(question.meter):
                self._local.ask([self._with_key(question)], lambda _, new: answered(question, new))
            else:
                answered(question, answer)

        self._submit(retry, question, answered)

    def _ask_cloud(self, question: Question, answered: Answered) -> None:
        try:
            values = self._cloud.read(question.meter, forced=question.forced)
        except MeterError as error:
            answered(question, error)
        else:
            answered(question, RawDatapoints(values))

    def _submit(self, work: Callable[[], None], question: Question, answered: Answered) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:  # the caller waits for an answer
                log.exception("unexpected error with the cloud")
                answered(question, EsquirellError(f"unexpected error: {type(error).__name__}"))

        try:
            self._threads.submit(run)
        except RuntimeError:
            answered(question, stopped(question.meter))
