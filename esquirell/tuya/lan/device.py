"""One device on the LAN: the meters behind it, and what happens on its line next."""

import logging
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from esquirell.domain.errors import EsquirellError, MeterError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Push, Question, RawDatapoints
from esquirell.tuya.errors import stopped
from esquirell.tuya.lan.access import (
    RETRY_S,
    TOGETHER_S,
    CoolDown,
    DeviceLock,
    Losses,
    Reconnect,
    Suspension,
)
from esquirell.tuya.lan.datapoints import Child
from esquirell.tuya.lan.exchange import Exchange
from esquirell.tuya.lan.loop import FOREVER, Script, Timer
from esquirell.tuya.lan.network import Network
from esquirell.tuya.lan.reader import Reader
from esquirell.tuya.lan.session import Message

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
"""Sent after this many seconds without a frame from us; devices hang up after about thirty."""

HEARTBEAT_ANSWER_S = 5.0
MISSED_HEARTBEATS = 2
SUSPENDED_OPEN_S = 5.0


class Read(NamedTuple):
    """A question in progress, and the function that takes its answer."""

    question: Question
    answered: Callable[[RawDatapoints | EsquirellError], None]


class Device:
    """Serves reads one after the other and keeps the line open in between if needed.

    Everything here runs in the loop's thread; `wake` lets it continue as far as it can.
    """

    def __init__(self, meter: Meter, network: Network, losses: Losses) -> None:
        self.children: dict[str, Child] = {}
        self.rests = False
        self._network = network
        self._now = network.loop.now
        self._timer = Timer(network.loop, self.wake)
        self._losses = losses
        self._id = meter.lan_id
        self._reads: deque[Read] = deque()
        self._lock = DeviceLock(network.lock_dir, meter.lan_id)
        self._exchange = Exchange(network.loop, network.limits, self._lock, self)
        self._reader = Reader(self._exchange, network)
        self._cooling = CoolDown(network.limits, self._now)
        self._suspension = Suspension()
        self._asked: Child | None = None
        self._dropped = False
        self._open_until = 0.0
        self._reconnect = Reconnect(self._now())
        self._missed = 0
        self._confirm_at = 0.0
        self._heartbeats_answered = True
        self._suspended_names: set[str] = set()
        self._script = self._live()

    def ask(self, read: Read) -> None:
        """Queue a read of a meter behind this device."""
        self.child_of(read.question.meter).question = read.question
        self._reads.append(read)
        self.wake()

    def child_of(self, meter: Meter) -> Child:
        """Return the state of a meter behind this device, created on first use."""
        child = self.children.get(meter.name)
        if child is None or child.meter is not meter:
            child = child or Child(meter)
            child.meter, child.held = meter, self._network.keep(meter) == "held"
            self.children[meter.name] = child
        return child

    def hold(self, names: Collection[str]) -> None:
        """Keep the line open for the meters of these names, as far as `keep` allows."""
        for name, child in self.children.items():
            child.held = name in names and self._network.keep(child.meter) == "held"
        self.wake()

    def drop(self, meter_name: str) -> bool:
        """Forget a meter, after its reads; return whether the device has no meters left."""
        self._dropped = len(self.children) <= 1
        if not self._dropped:
            self.children.pop(meter_name, None)
        self.wake()
        return self._dropped

    def end(self) -> None:
        """Report what has arrived, cancel the reads in progress and close the line."""
        self._exchange.read()
        self.quiet()
        self._script.close()
        self._disconnect()
        self._answer_all(stopped)

    def abandon(self) -> None:
        """Close this process's copies of sockets and locks that belong to its parent."""
        self._lock.abandon()
        if self._exchange.line is not None:
            self._exchange.line.abandon()

    def wake(self) -> None:
        """Continue whatever is in progress."""
        try:
            moment = next(self._script)
        except StopIteration:
            return
        except Exception as error:
            log.exception("%s: unexpected error", ", ".join(self.children))
            self._script = self._live()
            self._disconnect()
            sentence = f"unexpected error: {type(error).__name__}"
            self._answer_all(lambda _: EsquirellError(sentence))
            moment = self._now() + RETRY_S
        self._timer.set(moment)

    def _answer_all(self, error: Callable[[Meter], EsquirellError]) -> None:
        while self._reads:
            read = self._reads.popleft()
            read.answered(error(read.question.meter))

    def quiet(self) -> None:
        """Report the state of each meter that sent something unasked."""
        for child in self.children.values():
            if child.is_new:
                child.is_new = False
                push = self._push_of(child)
                if push != "off":
                    self._network.listener.reported(child.meter, self._heard(child, push))

    def _push_of(self, child: Child) -> Push:
        """Return whether the line of a meter is held open."""
        if not child.held:
            return "off"
        return "suspended" if self._is_suspended(child) else "on"

    def _live(self) -> Script[None]:
        while self._reads or not self._dropped:
            self._check_suspension()
            if self._exchange.ended:
                self._line_lost()
            if self._reads:
                yield from self._serve(self._reads[0])
            elif self._exchange.ready:
                yield from self._listen()
            elif self._holds() and not self._dropped:
                yield from self._reopen()
            else:
                self._disconnect()
                yield self._suspension.until if self._suspended_names else FOREVER
        self._disconnect()

    def _serve(self, read: Read) -> Script[None]:
        """Serve one read and remove it from the queue."""
        child = self.child_of(read.question.meter)
        answer: RawDatapoints | EsquirellError
        try:
            if not read.question.forced:
                self._cooling.check()
            answer = yield from self._counted(self._read(child, read.question))
        except MeterError as error:
            answer = error
        self._reads.popleft()
        self._open_until = self._now() + SUSPENDED_OPEN_S
        read.answered(answer)

    def _counted(self, read: Script[RawDatapoints]) -> Script[RawDatapoints]:
        """Count failures in a row, except that another process of ours is reading."""
        try:
            heard = yield from read
        except MeterError as error:
            self._cooling.failed(error)
            # A held line is not reopened right after that.
            self._reconnect.attempted(self._now())
            raise
        self._cooling.succeeded()
        return heard

    def _read(self, child: Child, question: Question) -> Script[RawDatapoints]:
        answers, self._asked = child.datapoints.answers, child
        try:
            yield from self._reader.read(child.datapoints, question)
        except MeterError:
            self._disconnect()
            raise
        finally:
            self._asked = None
            if question.increments:
                child.increments.settle(answered_by_reports=child.datapoints.answers_by_reports)
        self._missed = 0
        self._reconnect.succeeded()
        child.is_new = False
        left = question.ids - child.datapoints.known.keys()
        is_partial = child.datapoints.answers == answers and bool(left)
        return self._heard(child, self._push_of(child), partial=is_partial)

    def _listen(self) -> Script[None]:
        """Keep the line open until there is something to do, or it is no longer needed."""
        holds = self._holds() and not self._dropped
        if not holds and not self.stays_open():
            self._disconnect()
            return
        now, exchange = self._now(), self._exchange
        if not holds:
            yield self._open_until if self._lingers(now) else FOREVER
        elif now - exchange.sent_at >= HEARTBEAT_S:
            yield from self._send_heartbeat()
        elif now < self._confirm_at or not self._confirm_old(now):
            if now >= self._confirm_at:
                # It is enough to check for old values now and then, not after each read.
                self._confirm_at = now + HEARTBEAT_S
            yield from self._rest(exchange.sent_at + HEARTBEAT_S)
        if exchange.line is not None and not exchange.line.usable:
            self._line_lost()

    def _rest(self, until: float) -> Script[None]:
        """Wait for something to do; publish reports that arrive meanwhile once it is quiet."""
        self.rests = True
        yield until
        self.rests = False
        self._exchange.read()

    def _send_heartbeat(self) -> Script[None]:
        """Send a heartbeat; if two in a row bring no frame at all, test the line with a query."""
        exchange, sent_at = self._exchange, self._now()
        assert exchange.session is not None  # noqa: S101 - the line is ready
        if not self._has_lock():
            self._disconnect()
            return
        exchange.send(exchange.session.heartbeat())
        heard = yield from exchange.wait_until(
            lambda: exchange.heard_at >= sent_at or self._reads,
            lambda: sent_at + HEARTBEAT_ANSWER_S,
        )
        self._missed = 0 if heard else self._missed + 1
        if self._missed >= MISSED_HEARTBEATS and self._heartbeats_answered and exchange.ready:
            # Some devices never answer heartbeats: an answer to a query counts as well.
            yield from self._ask_for_report()
            self._heartbeats_answered = not exchange.ready

    def _has_lock(self) -> bool:
        """Whether the device is still ours: another process reads it if this one was stopped."""
        try:
            return self._lock.acquire()
        except OSError:  # the next read says why
            return False

    def _reopen(self) -> Script[None]:
        """Open a line that is to be held, and query it; less and less often while that fails."""
        now = self._now()
        if now < self._reconnect.at:
            self._lock.release()
            yield self._reconnect.at
            return
        self._reconnect.attempted(now)
        yield from self._ask_for_report()

    def _ask_for_report(self) -> Script[None]:
        """Query a meter without a read; its answer counts as a report."""
        child = next(child for child in self.children.values() if self._is_held(child))
        try:
            heard = yield from self._read(child, child.last_question())
        except MeterError as error:
            log.debug("%s: its line can't be held: %s", child.meter.name, error)
            return
        self._network.listener.reported(child.meter, heard)

    def _line_lost(self) -> None:
        """Close a line that ended, and find out whether the device tolerates held lines."""
        line, now = self._exchange.line, self._now()
        assert line is not None  # noqa: S101 - it ended
        self._judge_closing(now, at_once=True)
        self._disconnect()
        self._losses.note(now, self._id)
        self._reconnect.soon(now)
        is_closed = line.ended and self._holds()
        if is_closed and self._suspension.note(now, now - line.opened_at):
            self._reconnect.at += TOGETHER_S

    def _judge_closing(self, now: float, *, at_once: bool = False) -> None:
        others = partial(self._losses.others, device_id=self._id)
        if self._suspension.judge(now, others, at_once=at_once):
            self._suspended(now)

    def _suspended(self, now: float) -> None:
        seconds = round(self._suspension.until - now)
        for child in self.children.values():
            name = child.meter.name
            if self._is_suspended(child):
                log.warning(
                    "%s closes connections that are held open: it is only polled for %d s",
                    name,
                    seconds,
                )
                self._suspended_names.add(name)
                self._network.listener.event("push_suspended", {"meter": name, "seconds": seconds})

    def _check_suspension(self) -> None:
        now = self._now()
        self._judge_closing(now)
        if self._suspended_names and not self._suspension.active(now):
            for name in self._suspended_names:
                log.info("%s: its connection is held open again", name)
                self._network.listener.event("push_resumed", {"meter": name})
            self._suspended_names.clear()

    def received(self, message: Message) -> None:
        """Pass a message to the meter that it is about."""
        child = self._child_of_message(message)
        if child is not None:
            number, is_asked = self._exchange.number, child is self._asked
            child.take(message, self._exchange.heard_at, number, asked=is_asked)
            if child.is_new and not self.rests:
                self._exchange.wait_for_quiet()

    def _child_of_message(self, message: Message) -> Child | None:
        """Find the meter of a message; an answer without a name is from the meter being read."""
        asked = self._asked
        if not message.cid and asked is not None and not message.is_report:
            return asked
        cids = (child for child in self.children.values() if child.meter.cid == message.cid)
        return next(cids, None)

    def _heard(self, child: Child, push: Push, *, partial: bool = False) -> RawDatapoints:
        line = self._exchange.number if self._exchange.ready else None
        return child.heard(self._now(), line, push, self._network.interval_s, partial=partial)

    def _confirm_old(self, now: float) -> bool:
        """Query values that have not been confirmed for long; return whether there were any."""
        for child in self.children.values():
            ids = child.datapoints.unconfirmed(now, self._exchange.number)
            ids -= child.last_question().increments
            if ids and self._is_held(child):
                for name in ids:
                    child.datapoints.known[name].asked += 1
                self._exchange.refresh(child.datapoints, sorted(map(int, ids)), child.meter.cid)
                return True
        return False

    def _holds(self) -> bool:
        return any(self._is_held(child) for child in self.children.values())

    def _is_held(self, child: Child) -> bool:
        """Whether a line is to be held for a meter; behind a gateway, once it has reported."""
        reports = not child.meter.cid or bool(child.datapoints.reports)
        return reports and self._push_of(child) == "on"

    def _is_suspended(self, child: Child) -> bool:
        if child.meter.push != "auto" or not self._suspension.active(self._now()):
            return False
        # Increments come only in reports, even if answers contain everything else.
        return child.datapoints.complete and not child.increments.came

    def stays_open(self) -> bool:
        """Whether the line stays open between reads."""
        if self._dropped:
            return False
        if self._holds():
            return True
        keeps = {self._network.keep(child.meter) for child in self.children.values()}
        alone = not any(child.meter.cid for child in self.children.values())
        return (alone and "kept" in keeps) or self._lingers(self._now())

    def _lingers(self, now: float) -> bool:
        """Return whether the line stays open for a moment after a poll, although it is not held."""
        is_suspended = any(self._push_of(child) == "suspended" for child in self.children.values())
        return is_suspended and now < self._open_until

    def _disconnect(self) -> None:
        self._exchange.disconnect()
        self._lock.release()
