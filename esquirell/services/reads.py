"""Reads in progress: one per meter, shared by all callers, and decoded in order."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from esquirell.domain.clock import Clock
from esquirell.domain.errors import EsquirellError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Outcome, Reading
from esquirell.services.ports import CheckCancelled, Transport

log = logging.getLogger(__name__)

# A transaction costs as much as ten readings in it, and no caller waits for a single meter.
GATHER_S = 0.015
# With many meters, later answers would compete with the first ones for the interpreter.
MANY = 30
GATHER_MANY_S = 0.06
# The interval of checks whether a poll was cancelled.
LOOK_EVERY_S = 0.5

Understand = Callable[[Meter, RawDatapoints, datetime], Reading]


@dataclass(eq=False)
class RawAnswer:
    """A meter's answer at `at`, or the reason why there is none; decoded on first use."""

    meter: Meter
    at: datetime
    heard: RawDatapoints | EsquirellError
    outcome: Outcome | None = None


class Intake:
    """Decodes the messages of meters in order of arrival, in whichever thread needs it.

    A reading is judged by the one before it: an answer must not overtake a later report, nor vice
    versa.
    """

    def __init__(self, understand: Understand) -> None:
        self._understand = understand
        self._lock = threading.Lock()
        self._waiting: deque[RawAnswer] = deque()

    def put(self, answer: RawAnswer) -> None:
        """Add an answer; this never waits."""
        self._waiting.append(answer)

    def understand(self) -> None:
        """Decode everything received so far."""
        with self._lock:
            while self._waiting:
                answer = self._waiting.popleft()
                answer.outcome = self._outcome(answer)

    def _outcome(self, answer: RawAnswer) -> Outcome:
        if isinstance(answer.heard, EsquirellError):
            return Outcome(error=answer.heard)
        try:
            return Outcome(reading=self._understand(answer.meter, answer.heard, answer.at))
        except EsquirellError as error:
            return Outcome(error=error)
        except Exception as error:  # a fault with one meter must not affect the others
            log.exception("unexpected error while decoding an answer")
            return Outcome(error=EsquirellError(f"unexpected error: {type(error).__name__}"))


def _nothing() -> None:
    """Wait for nothing."""


@dataclass(eq=False)
class Batches:
    """The answers of one poll, in batches of those that arrive shortly after each other.

    `started` are the meters whose reads this poll has started itself.
    """

    intake: Intake
    started: set[str] = field(default_factory=set)
    _pending: set[str] = field(default_factory=set)
    _landed: deque[RawAnswer] = field(default_factory=deque)
    _some: threading.Event = field(default_factory=threading.Event)
    _all: threading.Event = field(default_factory=threading.Event)

    def expect(self, meter: str) -> None:
        """Also wait for a meter."""
        self._pending.add(meter)

    def land(self, answer: RawAnswer) -> None:
        """Accept an answer that the poll waits for."""
        self._landed.append(answer)
        if len(self._landed) >= len(self._pending):
            self._all.set()
        if not self._some.is_set():
            self._some.set()

    def take(
        self,
        limit_s: float,
        check_cancelled: CheckCancelled,
        prepared: Callable[[], object] = _nothing,
    ) -> Iterator[dict[Meter, Outcome]]:
        """Yield the outcomes, batch by batch, for `limit_s` seconds.

        `prepared` waits for what decoding needs. Raises the error of `check_cancelled`, which is
        called every half second.
        """
        deadline = time.monotonic() + limit_s
        # A few meters usually all answer within that time: waiting for the first would wake
        # twice.
        if 1 < len(self._pending) < MANY:
            self._all.wait(GATHER_S)
        while self._pending and (left_s := deadline - time.monotonic()) > 0:
            check_cancelled()
            if self._some.wait(min(left_s, LOOK_EVERY_S)):
                self._all.wait(GATHER_S if len(self._pending) < MANY else GATHER_MANY_S)
                prepared()
                yield self._batch()
                prepared = _nothing

    @property
    def late(self) -> set[str]:
        """The meters that have not answered."""
        return self._pending

    def _batch(self) -> dict[Meter, Outcome]:
        self._some.clear()
        landed = [self._landed.popleft() for _ in range(len(self._landed))]
        self._pending -= {answer.meter.name for answer in landed}
        self.intake.understand()
        return {answer.meter: answer.outcome for answer in landed if answer.outcome}


class InFlightReads:
    """Reads meters in parallel, each at most once at a time."""

    def __init__(self, transport: Transport, intake: Intake, clock: Clock) -> None:
        self._transport = transport
        self._intake = intake
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Batches]] = {}
        self._since: dict[str, float] = {}
        self._last: dict[str, tuple[float, RawAnswer]] = {}
        # Called after each read: its meter, "ok" or the code of its failure, how long it took (s).
        self.on_read: Callable[[str, str, float], None] | None = None

    def start(self, questions: Sequence[Question], *, join: bool, shared_s: float = 0.0) -> Batches:
        """Read those that are not being read; with `join`, wait for the others as well.

        Reads that began less than `shared_s` seconds ago are joined in any case, even if they have
        ended.
        """
        batches = Batches(self._intake)
        asked, ended = [], []
        now = time.monotonic()
        with self._lock:
            for question in questions:
                name = question.meter.name
                is_new = name not in self._waiting
                began, answer = self._last.get(name, (0.0, None))
                if is_new and answer is not None and now - began < shared_s:
                    batches.expect(name)
                    ended.append(answer)
                    continue
                if is_new or join or now - self._since.get(name, 0.0) < shared_s:
                    batches.expect(name)
                    self._waiting.setdefault(name, []).append(batches)
                if is_new:
                    self._since[name] = time.monotonic()
                    batches.started.add(name)
                    asked.append(question)
        for answer in ended:
            batches.land(answer)
        if asked:
            self._transport.ask(asked, self._answered)
        return batches

    def has(self, meter: str) -> bool:
        """Whether a meter is being read."""
        with self._lock:
            return meter in self._waiting

    def oldest_s(self) -> float:
        """Return for how many seconds the oldest read has been in progress."""
        with self._lock:
            started = list(self._since.values())
        return time.monotonic() - min(started) if started else 0.0

    def _answered(self, question: Question, heard: RawDatapoints | EsquirellError) -> None:
        answer = RawAnswer(question.meter, self._clock(), heard)
        self._intake.put(answer)
        with self._lock:
            began = self._since.pop(question.meter.name, time.monotonic())
            self._last[question.meter.name] = began, answer
            polls = self._waiting.pop(question.meter.name, [])
        if self.on_read:
            result = heard.code if isinstance(heard, EsquirellError) else "ok"
            self.on_read(question.meter.name, result, time.monotonic() - began)
        for batches in polls:
            batches.land(answer)
