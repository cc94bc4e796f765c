"""A poll: read the meters, decode, judge, store and publish."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from esquirell.domain.clock import Clock
from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import is_counter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import USUAL_INTERVAL_S, Outcome, Reading, hold_s
from esquirell.domain.record import record
from esquirell.services.delivery import Delivery
from esquirell.services.ledgers import Ledgers
from esquirell.services.lines import may_be_held
from esquirell.services.ports import CheckCancelled, Profiles, Transport
from esquirell.services.reads import InFlightReads, Intake

STOPPING = UnavailableError("the service is stopping")
POLL_LIMIT_S = 30.0
GRACE_S = 3.0
# How long (s) polls under way may take to end before their lines are closed: longer than the
# database is waited for, after which they keep their readings on the disk.
STORE_S = 3.0
_MOST_NAMED = 10
_INTERVAL_KNOWN = timedelta(minutes=1)


@record
class PollOptions:
    """How to poll: `join` waits for a read in progress, `forced` ignores a cool-down.

    A read that began less than `shared_s` seconds ago counts for this poll as well.
    """

    save: bool = True
    publish: bool = True
    join: bool = True
    forced: bool = False
    shared_s: float = 0.0


SCHEDULED = PollOptions(join=False)
ON_DEMAND = PollOptions(forced=True)
TRIAL = PollOptions(save=False, publish=False, forced=True)


class Poller:
    """Polls meters in parallel; a slow or dead one delays no other.

    `polled_at` is when the last poll ended, successful or not, on the monotonic clock.
    """

    def __init__(
        self,
        transport: Transport,
        profiles: Profiles,
        delivery: Delivery,
        clock: Clock,
        interval_s: Callable[[str], float] = lambda _: USUAL_INTERVAL_S,
    ) -> None:
        self._transport = transport
        self._profiles = profiles
        self._clock = clock
        self._interval_s = interval_s
        self.delivery = delivery
        saver, statuses = delivery.saver, delivery.statuses
        self.ledgers = Ledgers(saver.store, saver.timekeeper, statuses.newest)
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._running = 0
        self.polled_at = time.monotonic()
        self._questions: dict[str, tuple[Profile, Question]] = {}
        self._holds: dict[str, tuple[datetime, int]] = {}
        self.intake = Intake(self._understand)
        self.reads = InFlightReads(transport, self.intake, clock)

    def poll(
        self,
        meters: Sequence[Meter],
        options: PollOptions = SCHEDULED,
        check_cancelled: CheckCancelled = lambda: None,
    ) -> dict[str, Outcome]:
        """Read `meters`, store and publish each reading as it arrives; return their outcomes.

        Meters that are already being read are skipped, unless the options say to join. Raises the
        error of `check_cancelled`: readings that came before are stored, later ones are not.
        """
        if self._stopping.is_set():
            return dict.fromkeys((meter.name for meter in meters), Outcome(error=STOPPING))
        with self._idle:
            self._running += 1
        try:
            return self._poll(meters, options, check_cancelled)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _poll(
        self, meters: Sequence[Meter], options: PollOptions, check_cancelled: CheckCancelled
    ) -> dict[str, Outcome]:
        self.delivery.saver.date_waiting(self.ledgers, self.delivery.statuses)
        prepared = self.ledgers.begin([meter.name for meter in meters])
        questions, outcomes = self._ask_for(meters, options)
        batches = self.reads.start(questions, join=options.join, shared_s=options.shared_s)
        for batch in batches.take(POLL_LIMIT_S, check_cancelled, prepared):
            # The failure of a shared read is counted by the poll that started it.
            counted = {
                meter: outcome
                for meter, outcome in batch.items()
                if meter.name in batches.started or outcome.reading
            }
            outcomes |= {meter.name: outcome for meter, outcome in batch.items()}
            outcomes |= self._deliver(counted, options)
        late = {meter: Outcome(error=_LATE) for meter in meters if meter.name in batches.late}
        outcomes |= self._deliver(late, options)
        self.polled_at = time.monotonic()
        return outcomes

    def question(self, meter: Meter) -> Question:
        """Return the question for a meter, as far as its profile is known. Raises ConfigError."""
        profile = self._profiles.of(meter)
        known, question = self._questions.get(meter.name, (None, None))
        if question is None or known is not profile or question.meter is not meter:
            question = question_of(meter, profile)
            self._questions[meter.name] = profile, question
        return question

    def missed(
        self, errors: Mapping[Meter, EsquirellError], options: PollOptions
    ) -> dict[str, Outcome]:
        """Count a failed poll of meters that could not be asked at all; return the results."""
        return self._deliver(
            {meter: Outcome(error=error) for meter, error in errors.items()}, options
        )

    @property
    def waiting(self) -> int:
        """Return how many readings wait for the database."""
        return self.delivery.saver.waiting

    def keys_of(self, meter: Meter) -> tuple[str, ...]:
        """Return all quantity keys of a meter: its profile's and any seen so far."""
        seen = self.delivery.statuses.of(meter.name).keys
        return tuple(dict.fromkeys([*seen, *self._profiles.of(meter).keys]))

    def forget(self, meters: Sequence[str]) -> None:
        """Forget meters that are no longer configured; their stored data stays."""
        self.ledgers.forget(meters)
        self.delivery.forget(meters)
        for name in meters:
            self._questions.pop(name, None)
            self._holds.pop(name, None)

    def stop(self) -> None:
        """Start no more reads; those in progress get a moment, then their lines are closed."""
        self._stopping.set()
        cut = threading.Timer(GRACE_S, self._transport.close)
        cut.daemon = True
        cut.start()

    def close(self) -> None:
        """Close all lines and try once more to store what waits for the database.

        Polls under way get a moment before, as answers may be arriving, and are stored: the process
        may end right after this.
        """
        with self._idle:
            self._idle.wait_for(lambda: not self._running, STORE_S)
        self._transport.close()
        self.store_waiting()
        self.delivery.saver.leave()

    def store_waiting(self) -> None:
        """Store readings that wait for the database, including those of earlier processes."""
        if self.delivery.saver.waiting:
            self.delivery.saver.save((), {})

    def _ask_for(
        self, meters: Sequence[Meter], options: PollOptions
    ) -> tuple[list[Question], dict[str, Outcome]]:
        """Return the questions for `meters`, and the results of those with an unusable profile."""
        questions: list[Question] = []
        outcomes: dict[str, Outcome] = {}
        for meter in meters:
            try:
                question = self.question(meter)
            except EsquirellError as error:
                outcomes |= self._deliver({meter: Outcome(error=error)}, options)
                continue
            questions.append(replace(question, forced=True) if options.forced else question)
        return questions, outcomes

    def _understand(self, meter: Meter, heard: RawDatapoints, moment: datetime) -> Reading:
        decoded = self._profiles.decode(meter, heard.values)
        if not decoded.values:
            raise MeterUnreachableError("no_data", _nothing_measured(meter, heard))
        warnings = (*decoded.warnings, *([_PARTIAL] if heard.partial else []))
        diagnostics = {**decoded.diagnostics, "push": heard.push, "oldest_s": int(heard.oldest_s)}
        profile = self._profiles.of(meter)
        added = {
            str(point.adds): heard.increments[dp] / point.divisor
            for dp, point in profile.increments.items()
            if dp in heard.increments
        }
        reading = Reading(
            meter.name,
            moment,
            decoded.values,
            diagnostics,
            warnings,
            decoded.hints,
            holds_s=self._holds_s(meter.name, moment),
            increments=added,
            interrupted=heard.interrupted,
        )
        return self.ledgers.judge(reading, meter, profile.keys, _adds(meter, profile))

    def _holds_s(self, meter: str, moment: datetime) -> int:
        """Return how long (s) the values of a meter hold: three of its intervals."""
        until, holds_s = self._holds.get(meter, (moment, 0))
        # Schedules rarely change, and going through them costs as much as decoding.
        if not moment < until <= moment + _INTERVAL_KNOWN:
            holds_s = hold_s(self._interval_s(meter))
            self._holds[meter] = moment + _INTERVAL_KNOWN, holds_s
        return holds_s

    def _deliver(self, batch: Mapping[Meter, Outcome], options: PollOptions) -> dict[str, Outcome]:
        outcomes = {meter.name: outcome for meter, outcome in batch.items()}
        readings = [outcome.reading for outcome in outcomes.values() if outcome.reading]
        for reading in () if options.save else readings:
            self.delivery.see(reading)
        if not batch or not (options.save or options.publish):
            return outcomes
        counted = {meter: out for meter, out in batch.items() if out.ok or self._counts(meter)}
        statuses = self.delivery.follow(counted)
        error = self.delivery.save(readings, statuses, polled=True) if options.save else None
        if options.publish:
            self.delivery.publish(readings, statuses)
        return {name: _stored(outcome, error) for name, outcome in outcomes.items()}

    def _counts(self, meter: Meter) -> bool:
        """Whether a failure counts for a meter.

        Not if the read was cancelled because this process ends, nor if the meter reports by itself.
        """
        reported = self.delivery.reported.get(meter.name)
        pace_s = timedelta(seconds=self._interval_s(meter.name))
        reports = reported is not None and self._clock() - reported <= pace_s
        return not reports and not self._stopping.is_set()


_LATE = MeterUnreachableError("no_data", f"the read did not end within {POLL_LIMIT_S:.0f} s")
_PARTIAL = "the meter did not answer the query; these are values that it reported by itself"


def question_of(meter: Meter, profile: Profile) -> Question:
    """Return what to ask a meter for, by its profile."""
    points = {
        name: point
        for name, point in profile.datapoints.items()
        if name.isdecimal() and (point.key or point.frame)
    }
    counters = {name for name, point in points.items() if point.key and is_counter(point.key)}
    increments = frozenset(profile.increments) if _adds(meter, profile) else frozenset()
    return Question(meter, profile.refresh, frozenset(points), frozenset(counters), increments)


def _adds(meter: Meter, profile: Profile) -> tuple[str, ...]:
    """Return the counters that a meter adds to by reports, if those are received.

    For an inverted meter it is unknown which direction its increments count.
    """
    if not profile.increments or not may_be_held(meter) or meter.invert:
        return ()
    return tuple(str(point.adds) for point in profile.increments.values())


def _nothing_measured(meter: Meter, heard: RawDatapoints) -> str:
    names = ", ".join(sorted(heard.values)[:_MOST_NAMED])
    return (
        f"{meter.name} answers, but with no known measurement (DPs {names}): "
        f"set its product_id, mapping_file or profile; esquirell meters capture {meter.name} "
        "shows what it sends"
    )


def _stored(outcome: Outcome, error: UnavailableError | None) -> Outcome:
    return Outcome(outcome.reading, error) if error and outcome.ok else outcome
