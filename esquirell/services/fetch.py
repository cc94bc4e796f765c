"""The work behind the tasks and commands that read meters."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from esquirell.domain.command import Answer
from esquirell.domain.errors import CommandError, EsquirellError, FetchError
from esquirell.domain.meter import Meter
from esquirell.domain.outcome import Outcome
from esquirell.domain.reading import payload
from esquirell.services.elsewhere import Elsewhere
from esquirell.services.poll import ON_DEMAND, SCHEDULED, TRIAL, Poller, PollOptions
from esquirell.services.ports import CheckCancelled

# An answer about hundreds of meters names so many of those that failed.
MOST_SENTENCES = 5


class Fetch:
    """Reads meters by their names, those of other networks through the workers there."""

    def __init__(
        self, poller: Poller, meters: Callable[[], Sequence[Meter]], elsewhere: Elsewhere
    ) -> None:
        self._poller = poller
        self._meters = meters
        self._elsewhere = elsewhere

    def scheduled(
        self, names: Sequence[str] | None, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        """Poll the named meters, or all; a meter that is being read already is left out.

        Raises CommandError for an unknown name.
        """
        return self._fetched(self.chosen(names), SCHEDULED, check_cancelled)

    def on_demand(
        self, names: Sequence[str] | None, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        """Poll the named meters, or all, also those that are cooling down.

        Raises CommandError for an unknown name.
        """
        return self._fetched(self.chosen(names), ON_DEMAND, check_cancelled)

    def trial(self, name: str) -> dict[str, Any]:
        """Read one meter, store and publish nothing; give its reading and the time it took.

        Raises CommandError for an unknown name, MeterError when the meter gives no reading.
        """
        (meter,) = self.chosen([name])
        here, _ = self._elsewhere.divide([meter])
        return self._trial(meter) if here else self._elsewhere.trial(meter)

    def part(self, kind: str, names: Sequence[str], ticket: str) -> None:
        """Read the meters of a part that a worker elsewhere sent, and answer it.

        Not if it was taken back meanwhile. One with a meter that this worker's configuration
        does not know is left to who sent it. Raises UnavailableError when Redis is away.
        """
        try:
            meters = self.chosen(names)
            if not self._elsewhere.claim(ticket):
                return
            answer = self._part(kind, meters)
        except EsquirellError as error:
            answer = {"code": error.code, "error": str(error)}
        self._elsewhere.reply(ticket, answer)

    def _part(self, kind: str, meters: Sequence[Meter]) -> dict[str, Any]:
        if kind == "trial":
            return self._trial(meters[0])
        return _data(self._poller.poll(meters, SCHEDULED if kind == "scheduled" else ON_DEMAND))

    def _fetched(
        self, meters: Sequence[Meter], options: PollOptions, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        here, others = self._elsewhere.divide(meters)
        with self._elsewhere.sent(others, forced=options.forced) as parts:
            outcomes = dict(self._poller.poll(here, options, check_cancelled))
            left, taken = self._elsewhere.left(parts)
            if left:
                outcomes |= self._poller.poll(left, options, check_cancelled)
            told, missed = self._elsewhere.collect(taken, check_cancelled)
        found = _data(outcomes | self._poller.missed(missed, options))["meters"] | told
        return {"meters": {one.name: found[one.name] for one in meters if one.name in found}}

    def _trial(self, meter: Meter) -> dict[str, Any]:
        name, began = meter.name, time.monotonic()
        outcome = self._poller.poll([meter], TRIAL)[name]
        if outcome.error or not outcome.reading:
            raise outcome.error or CommandError("internal", f"{name} was not read")
        taken_ms = round((time.monotonic() - began) * 1000)
        shape = payload(outcome.reading, self._poller.keys_of(meter))
        return {"name": name, "reading": shape, "duration_ms": taken_ms}

    def chosen(self, names: Sequence[str] | None) -> list[Meter]:
        """Give the meters of these names, or all. Raises CommandError for an unknown name."""
        known = {meter.name: meter for meter in self._meters()}
        if names is None:
            return [meter for meter in known.values() if meter.enabled]
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in known:
                listed = ", ".join(known) or "none is configured"
                raise CommandError("unknown_meter", f"there is no meter {name}; known: {listed}")
            if not known[name].enabled:
                raise CommandError("unavailable", f"{name} is left alone, as its enabled is false")
        return [known[name] for name in wanted]


def _data(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {"meters": {name: outcome.payload() for name, outcome in outcomes.items()}}


def fetch_answer(meters: Mapping[str, Any]) -> Answer:
    """Return the answer to a fetch, of what each meter did: ok only when every meter is."""
    failed = [one for one in meters.values() if one["status"] != "ok"]
    data = {"meters": meters}
    if not failed:
        return Answer("ok", data)
    sentences = [str(one["error"]) for one in failed[:MOST_SENTENCES]]
    more = len(failed) - len(sentences)
    sentence = "; ".join(sentences) + (f"; and {more} more meters failed" if more else "")
    return Answer("error", data, sentence, failed[0]["code"])


def check_fetched(meters: Mapping[str, Any]) -> None:
    """Raise FetchError when meters were asked and none of them gave a reading."""
    if meters and all(one["status"] != "ok" for one in meters.values()):
        answer = fetch_answer(meters)
        raise FetchError(answer.code or "internal", answer.error or "", meters)
