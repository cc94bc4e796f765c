"""The line to one device, and the exchange over it: connect, agree on a key, ask, listen."""

import socket
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.errors import AttemptError, Step, impossible_key
from esquirell.tuya.lan.access import DeviceLock
from esquirell.tuya.lan.datapoints import Datapoints
from esquirell.tuya.lan.lookups import Lookups
from esquirell.tuya.lan.loop import FOREVER, Line, Loop, Script, Timer
from esquirell.tuya.lan.network import Limits
from esquirell.tuya.lan.session import Message, Session
from esquirell.tuya.tinytuya_import import STATUS, UPDATEDPS

# Frames that arrive within a moment are part of one report.
QUIET_S = 0.02
LATEST_S = 0.1
# At most this much is left unread.
MOST_UNREAD = 65_536
GROUP_SIZE = 10
GROUP_S = 0.5
LINGER_S = 1.2
# Where DPs are found in practice, in groups that fit into one frame of a device that is queried by
# id. DP 1 is in each group: some devices stay silent if they have none of the requested DPs.
_RANGES = ((2, 31), (50, 69), (101, 140))
_SEARCHED = [str(dp) for first, last in _RANGES for dp in range(first, last + 1)]


class Owner(Protocol):
    """The device that owns the line.

    While it `rests`, nothing is being waited for: data is parsed once the line is quiet.
    """

    rests: bool

    def wake(self) -> None:
        """Continue, as something happened."""

    def received(self, message: Message) -> None:
        """Take in a message with datapoints."""

    def quiet(self) -> None:
        """Report what came before the line fell quiet."""

    def stays_open(self) -> bool:
        """Whether the line stays open after a read."""


class Exchange:
    """Talks to a device over one line at a time.

    `number` counts the lines; `heard_at` is when the last frame came, `sent_at` when we sent one.
    """

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        lock: DeviceLock,
        owner: Owner,
    ) -> None:
        self.line: Line | None = None
        self.session: Session | None = None
        self.number = 0
        self.heard_at = self.sent_at = self._acted_at = 0.0
        self.lock = lock
        self._loop = loop
        self._now = loop.now
        self._limits = limits
        self._owner = owner
        self.lookups = Lookups(loop, owner.wake)
        self._heard: set[int] = set()
        self._unread = b""
        self._came_at = 0.0
        self._quiet = Timer(loop, self._fell_quiet)
        self._latest = FOREVER

    @property
    def ready(self) -> bool:
        """Whether questions can be asked over the line."""
        return bool(self.line and self.line.usable and self.session and self.session.agreed)

    @property
    def ended(self) -> bool:
        """Whether the device closed the line."""
        return self.line is not None and self.line.ended

    def disconnect(self) -> None:
        """Close the line, if there is one."""
        line, self.line, self.session, self._unread = self.line, None, None, b""
        if line is not None:
            line.close()

    def send(self, data: bytes) -> None:
        """Send frames over the line."""
        if self.line is not None:
            self.sent_at = self._now()
            self.line.send(data)

    def wait_until(
        self, condition: Callable[[], object], deadline: Callable[[], float]
    ) -> Script[bool]:
        """Wait until a condition holds or the line has ended; return whether it holds."""
        while not condition():
            if self.line is None or self.line.error or self.ended or self._now() >= deadline():
                return False
            yield deadline()
        return True

    def wait_for_gap(self) -> Script[None]:
        """Wait until the minimum gap since the last contact has passed."""
        end = self._now() + self.lock.gap_left(self._limits.gap_s)
        while self._now() < end:
            yield end

    def connect(self, meter: Meter, version: str, end: float) -> Script[None]:
        """Open a line in one protocol, at the first address of the device that accepts it.

        Raises AttemptError.
        """
        self.disconnect()
        yield from self.wait_for_gap()
        self.number += 1
        line = self.line = Line(self._loop, self._received, self._owner.wake)
        self.session = Session(version, _key(meter), meter.lan_id, _ids(meter))
        limit_s = self._limits.connect_s
        try:
            addresses = yield from self.lookups.addresses(meter, min(self._now() + limit_s, end))
            for address in addresses:
                deadline = min(self._now() + limit_s, end)
                line.open(address)
                if (yield from self.wait_until(lambda: line.connected, lambda: deadline)):  # noqa: B023
                    return
                error = line.error or TimeoutError("timed out")
            raise error
        except OSError as error:
            self.lock.note_contact()
            step: Step = "name" if isinstance(error, socket.gaierror) else "connect"
            raise AttemptError(version, step, error.strerror or str(error)) from error

    def negotiate_key(self, end: float) -> Script[None]:
        """Negotiate a session key if the protocol has one. Raises AttemptError."""
        session = self.session
        assert session is not None  # noqa: S101 - it is connected
        self.send(session.start())
        evidence = session.evidence
        yield from self.wait_until(
            lambda: (
                session.agreed or evidence.garbled or evidence.speaks not in {None, session.version}
            ),
            lambda: end,
        )
        if not session.agreed:
            raise self._failure("key")

    def ask(
        self, datapoints: Datapoints, question: Question, answer_s: float, end: float
    ) -> Script[None]:
        """Query all datapoints, after an UPDATEDPS for those to refresh. Raises AttemptError."""
        session, since = self.session, self._now()
        assert session is not None  # noqa: S101 - it is connected
        session.evidence.garbled, session.evidence.refusal = False, ""
        # An increment is not a state: when queried, a device repeats the last one.
        cid, due = question.meter.cid, datapoints.expected(question.ids)
        if question.increments:
            due = due - question.increments
        if question.refresh:
            self.refresh(datapoints, question.refresh, cid)
            ends = min(since + self._limits.refresh_s, end)
            yield from self.wait_until(lambda: self._heard & {UPDATEDPS, STATUS}, lambda: ends)
        if not datapoints.by_id and session.version != "3.2":
            yield from self._query(datapoints, session.query(cid), answer_s, end)
            datapoints.by_id = bool(session.evidence.refusal)
        if datapoints.by_id or session.version == "3.2":
            yield from self._ask_by_id(datapoints, question, answer_s, end)
        if not datapoints.heard_since(since):
            datapoints.by_id = False
            raise self._failure("answer")
        yield from self._complete(datapoints, question.meter.cid, due, since, end)

    def refresh(self, datapoints: Datapoints, ids: Iterable[int], cid: str) -> None:
        """Request that datapoints be measured and reported."""
        assert self.session is not None  # noqa: S101 - it is connected
        ids = list(ids)
        self._heard.clear()
        datapoints.refreshed(ids, self._now())
        self.send(self.session.refresh(ids, cid))

    def _query(
        self, datapoints: Datapoints, frame: bytes, answer_s: float, end: float
    ) -> Script[None]:
        """Send a query and wait for the first datapoints, or for a sign that none will come."""
        assert self.session is not None  # noqa: S101 - it is connected
        evidence, asked, answers = self.session.evidence, self._now(), datapoints.answers
        self.send(frame)

        def answered() -> bool:
            by_report = datapoints.answers_by_reports and datapoints.heard_since(asked)
            told = evidence.garbled or evidence.stranger or bool(evidence.refusal)
            return datapoints.answers > answers or by_report or told

        # A device does one thing after the other: each completed step restarts the timeout.
        yield from self.wait_until(
            answered, lambda: min(max(asked, self._acted_at) + answer_s, end)
        )
        datapoints.answers_by_reports = datapoints.answers == answers and datapoints.heard_since(
            asked
        )

    def _ask_by_id(
        self, datapoints: Datapoints, question: Question, answer_s: float, end: float
    ) -> Script[None]:
        """Query datapoints by id: those known or named first, then where they may be."""
        assert self.session is not None  # noqa: S101 - it is connected
        known = sorted(datapoints.came | question.ids, key=int)
        others = [] if datapoints.came else [name for name in _SEARCHED if name not in question.ids]
        for names, limit_s in [*_groups(known, answer_s), *_groups(others, GROUP_S)]:
            self.session.evidence.refusal = ""
            yield from self._query(
                datapoints, self.session.query_ids(names, question.meter.cid), limit_s, end
            )
            if self.ended or self.session.evidence.garbled:
                return

    def _complete(
        self, datapoints: Datapoints, cid: str, due: Collection[str], since: float, end: float
    ) -> Script[None]:
        """Wait for the rest of an answer: until all expected ids came, or the line is quiet."""
        is_complete = yield from self.wait_until(
            lambda: due and not datapoints.outstanding(due, since),
            lambda: min(self.heard_at + self._limits.quiet_s, end),
        )
        left = set() if is_complete else datapoints.outstanding(due, since)
        if left and not datapoints.by_id and not self.ended:
            self.refresh(datapoints, [int(name) for name in left], cid)
            # On a line that stays open, later frames count as well.
            ends = min(self._now() + (0 if self._owner.stays_open() else LINGER_S), end)
            yield from self.wait_until(lambda: not datapoints.outstanding(due, since), lambda: ends)
            left = datapoints.outstanding(due, since)
        datapoints.count_answer(due, left, since)

    def wait_for_quiet(self) -> None:
        """Report what arrived once the line is quiet, or at the latest after a short delay."""
        self._latest = min(self._latest, self._came_at + LATEST_S)
        self._quiet.set(min(self._came_at + QUIET_S, self._latest))

    def read(self) -> None:
        """Parse the data that was left unread."""
        data, self._unread = self._unread, b""
        if data and self.session is not None:
            self._understand(self.session, data)

    def _received(self, data: bytes) -> None:
        self._came_at = self._now()
        self._unread += data
        if not self._owner.rests:
            self.read()
            self._owner.wake()
            return
        if len(self._unread) >= MOST_UNREAD:
            self.read()
        self.wait_for_quiet()

    def _fell_quiet(self) -> None:
        self._latest = FOREVER
        self.read()
        self._owner.quiet()

    def _understand(self, session: Session, data: bytes) -> None:
        for message in session.feed(data):
            self.heard_at = self._came_at
            self._acted_at = self._acted_at if message.is_report else self.heard_at
            self._heard.add(message.command)
            if message.dps:
                self._owner.received(message)
        if session.outbox:
            outbox, session.outbox = session.outbox, b""
            self.send(outbox)

    def _failure(self, step: Step) -> AttemptError:
        assert self.session is not None  # noqa: S101 - it is connected
        return AttemptError(
            self.session.version, step, ended=self.ended, evidence=self.session.evidence
        )


def _key(meter: Meter) -> bytes:
    key = meter.local_key.get_secret_value()
    if not key.isascii():
        raise impossible_key(meter)
    return key.encode("ascii")


def _ids(meter: Meter) -> tuple[str, ...]:
    return (meter.device_id, meter.lan_id, meter.cid)


def _groups(ids: list[str], limit_s: float) -> list[tuple[list[str], float]]:
    groups = [ids[start : start + GROUP_SIZE] for start in range(0, len(ids), GROUP_SIZE)]
    return [(["1", *(name for name in group if name != "1")], limit_s) for group in groups]
