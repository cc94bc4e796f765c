"""The work behind the tasks and commands that read meters."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from esquirell.domain.command import Answer
from esquirell.domain.errors import CommandError, FetchError, unknown_meter
from esquirell.domain.meter import Meter
from esquirell.domain.reading import Outcome, payload
from esquirell.services.poll import ON_DEMAND, SCHEDULED, TRIAL, Poller
from esquirell.services.ports import CheckCancelled
from esquirell.services.remote_reads import GUARD, SHARED_S, SPLIT, RemoteReads

# The number of failed meters named in an answer.
MOST_SENTENCES = 5

# Two schedules due for a meter in the same second share one reading.
_OPTIONS = {"scheduled": replace(SCHEDULED, shared_s=SHARED_S), "on_demand": ON_DEMAND}


class Fetch:
    """Reads meters by name; those of other workers are read by them.

    `capture` captures a meter's answer, see `services.capture`. `left_out` maps configured meters
    that can't be read to the reason.
    """

    def __init__(
        self,
        poller: Poller,
        meters: Callable[[], Sequence[Meter]],
        remote: RemoteReads,
        capture: Callable[[Meter], dict[str, Any]],
        left_out: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._poller = poller
        self._meters = meters
        self._remote = remote
        self._capture = capture
        self._left_out = left_out

    def scheduled(
        self, names: Sequence[str] | None, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        """Poll the named meters, or all; skip meters that are already being read.

        One with a damaged configuration does not affect the others. Raises CommandError for an
        unknown name.
        """
        if names is not None:
            left_out = self._left_out()
            names = [name for name in names if name not in left_out] or names
        return self._fetched(self.chosen(names), "scheduled", check_cancelled)

    def on_demand(
        self, names: Sequence[str] | None, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        """Poll the named meters, or all, even those that are cooling down.

        Raises CommandError for an unknown name.
        """
        return self._fetched(self.chosen(names), "on_demand", check_cancelled)

    def trial(self, name: str) -> dict[str, Any]:
        """Read one meter without storing or publishing; return its reading and the duration.

        Raises CommandError for an unknown name, MeterError if there is no reading.
        """
        return self._one(name, "trial")

    def capture(self, name: str) -> dict[str, Any]:
        """Read one meter and return its raw answer, without identifying the device.

        Raises CommandError for an unknown name, MeterError if there is no answer.
        """
        return self._one(name, "capture")

    def batch(self, kind: str, names: Sequence[str]) -> dict[str, Any]:
        """Read meters of this worker for another one. Raises EsquirellError."""
        meters = self.chosen(names)
        if kind.startswith(SPLIT):
            return self._split(meters, kind.removeprefix(SPLIT))
        if kind.startswith(GUARD):
            ticket, _, kind = kind.removeprefix(GUARD).partition(":")
            return {
                "meters": self._remote.guard(ticket, meters, lambda here: self._poll(here, kind))
            }
        if kind in _OPTIONS:
            return {"meters": self._poll(meters, kind)}
        return self._read_one(meters[0], kind)

    def _poll(
        self,
        meters: Sequence[Meter],
        kind: str,
        check_cancelled: CheckCancelled = lambda: None,
    ) -> dict[str, Any]:
        return _data(self._poller.poll(meters, _OPTIONS[kind], check_cancelled))["meters"]

    def _split(self, meters: Sequence[Meter], kind: str) -> dict[str, Any]:
        if kind in _OPTIONS:
            return self._fetched(meters, kind, lambda: None)
        return self._one(meters[0].name, kind)

    def _one(self, name: str, kind: str) -> dict[str, Any]:
        split = self._remote.split(self.chosen([name]))
        batches = self._remote.dispatch(split, kind)
        for meter in split.here:
            return self._read_one(meter, kind)
        answered, failed = self._remote.gather(
            batches,
            lambda: None,
            lambda meters: {meter.name: self._read_one(meter, kind) for meter in meters},
        )
        for error in [*split.nobody.values(), *failed.values()]:
            raise error
        return dict(answered[name])

    def _read_one(self, meter: Meter, kind: str) -> dict[str, Any]:
        return self._capture(meter) if kind == "capture" else self._trial(meter)

    def _fetched(
        self, meters: Sequence[Meter], kind: str, check_cancelled: CheckCancelled
    ) -> dict[str, Any]:
        options = _OPTIONS[kind]
        split = self._remote.split(meters)
        batches = self._remote.dispatch(split, kind)
        try:
            with self._remote.guarded(split.here, kind):
                found = self._poll(split.here, kind, check_cancelled)
            answered, failed = self._remote.gather(
                batches, check_cancelled, lambda here: self._poll(here, kind, check_cancelled)
            )
        finally:
            self._remote.end(batches)
        found |= _data(self._poller.missed(failed | split.nobody, options))["meters"] | answered
        return {
            "meters": {meter.name: found[meter.name] for meter in meters if meter.name in found}
        }

    def _trial(self, meter: Meter) -> dict[str, Any]:
        name, began = meter.name, time.monotonic()
        outcome = self._poller.poll([meter], TRIAL)[name]
        if outcome.error or not outcome.reading:
            raise outcome.error or CommandError("internal", f"{name} was not read")
        taken_ms = round((time.monotonic() - began) * 1000)
        shape = payload(outcome.reading, self._poller.keys_of(meter))
        return {"name": name, "reading": shape, "duration_ms": taken_ms}

    def chosen(self, names: Sequence[str] | None) -> list[Meter]:
        """Return the meters of these names, or all. Raises CommandError for an unknown name."""
        known = {meter.name: meter for meter in self._meters()}
        if names is None:
            return [meter for meter in known.values() if meter.enabled]
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in known:
                if problem := self._left_out().get(name):
                    raise CommandError("unavailable", f"{name} is left out: {problem}")
                raise unknown_meter(name, known)
            if not known[name].enabled:
                raise CommandError("unavailable", f"{name} is not read: set enabled = true for it")
        return [known[name] for name in wanted]


def _data(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, Any]]:
    return {"meters": {name: outcome.payload() for name, outcome in outcomes.items()}}


def fetch_answer(meters: Mapping[str, Any]) -> Answer:
    """Return the answer to a fetch from each meter's result; ok only if all are."""
    failed = [outcome for outcome in meters.values() if outcome["status"] != "ok"]
    data = {"meters": meters}
    if not failed:
        return Answer("ok", data)
    sentences = [str(outcome["error"]) for outcome in failed[:MOST_SENTENCES]]
    more = len(failed) - len(sentences)
    sentence = "; ".join(sentences) + (f"; and {more} more meters failed" if more else "")
    return Answer("error", data, sentence, failed[0]["code"])


def check_fetched(meters: Mapping[str, Any]) -> None:
    """Raise FetchError if meters were to be read and none returned a reading."""
    if meters and all(outcome["status"] != "ok" for outcome in meters.values()):
        answer = fetch_answer(meters)
        raise FetchError(answer.code or "internal", answer.error or "", meters)
