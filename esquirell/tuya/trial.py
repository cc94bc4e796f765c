"""Reads new meters on trial, before they are configured, and detects whether they report."""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.lan.loop import Loop
from esquirell.tuya.lan.network import Keep, Network
from esquirell.tuya.transport import LocalTransport

LISTEN_S = 5.0
# Reports closer together are parts of one, or the rest of an answer.
APART_S = 0.5


class Trial:
    """Reads meters, and keeps the lines of those that answered open to hear their reports.

    Its locks and the detected addresses are kept in these folders. Use it as a context manager:
    at the end all lines are closed.
    """

    def __init__(self, locks: Path, addresses: Path) -> None:
        self._answered: dict[str, Question] = {}
        self._reported: defaultdict[str, list[float]] = defaultdict(list)
        self._news = threading.Condition()
        network = Network(
            locks,
            keep=self._keep,
            interval_s=lambda _: 0.0,
            finder=Finder(),
            addresses=Addresses(addresses),
            listener=self,
            loop=Loop(),
        )
        self._transport = LocalTransport(network)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def read(self, question: Question) -> RawDatapoints:
        """Read a meter and wait. Raises MeterUnreachableError or MeterRejectedError."""
        name = question.meter.name
        self._answered[name] = question
        try:
            return self._transport.read(question)
        except BaseException:
            del self._answered[name]
            self._transport.forget(name)
            raise

    def reporting(self, within_s: float = LISTEN_S) -> Collection[str]:
        """Listen; return the names of the meters read that reported more than once meanwhile."""
        self._transport.hold(list(self._answered.values()))
        deadline = time.monotonic() + within_s
        with self._news:
            while (left_s := deadline - time.monotonic()) > 0 and self._often != set(
                self._answered
            ):
                self._news.wait(left_s)
            return self._often

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        del heard
        now = time.monotonic()
        with self._news:
            self._reported[meter.name].append(now)
            self._news.notify()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Ignore events of a line."""

    @property
    def _often(self) -> set[str]:
        found = self._reported.items()
        return {name for name, moments in found if moments[-1] - moments[0] >= APART_S}

    def _keep(self, meter: Meter) -> Keep:
        return "held" if meter.name in self._answered else "closed"
