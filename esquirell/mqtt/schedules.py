"""Schedules as they are published: a retained state each, controls, an event per change."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from esquirell.mqtt.discovery import About, schedule_device
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.retained import RetainedTopics
from esquirell.mqtt.topics import Topics

States = Mapping[str, Mapping[str, Any]]
# A version that differs after each change, and the last run of each schedule.
Version = tuple[str, Mapping[str, str]]

# A schedule that runs more often than this (seconds) is published at most this often.
RUNS_S = 5.0

# Fields that change with each run are no change of the schedule.
_OF_RUNS = ("last_run_at", "next_run_at", "last_result")


class ScheduleStates:
    """Publishes the schedules when one was changed or has run, by any process."""

    def __init__(
        self, retained: RetainedTopics, topics: Topics, publisher: MqttPublisher, about: About
    ) -> None:
        self._retained = retained
        self._topics = topics
        self._publisher = publisher
        self._about = about
        self._version: Version | None = None
        self._published_at: float | None = None
        self.known: States | None = None

    def follow(
        self,
        states: Callable[[], States],
        version_of: Callable[[list[str]], Version | None],
        now: float,
    ) -> None:
        """Publish if there is something new, at `now` (s). Raises UnavailableError."""
        version = version_of(list(self.known or {}))
        unknown = version is None and self.known is not None
        if not unknown and (self.known is None or self._is_new(version, now)):
            self._publish(states())
            self._version, self._published_at = version, now

    def left_s(self, now: float) -> float:
        """Return the seconds until the runs of quick schedules are published; infinite without."""
        if self._published_at is None or not any(map(self._is_quick, self.known or ())):
            return math.inf
        left_s = self._published_at + RUNS_S - now
        return left_s if left_s > 0 else math.inf

    def forget(self) -> None:
        """Publish everything again at the next occasion."""
        self._version = self._published_at = None

    def _publish(self, states: States) -> None:
        """Publish all states, then the controls that show them."""
        before, self.known = self.known, states
        for name, state in states.items():
            self._retained.publish(self._topics.schedule_state(name), state, "schedule", name)
        for name, state in states.items() if self._topics.discovery_prefix else ():
            device = schedule_device(self._topics, self._about, name, state)
            topic = self._topics.schedule_discovery(name)
            self._retained.announce(topic, device, "schedule", name)
        # After a start everything is new, which is no event.
        if before is not None:
            self._report(before, states)

    def _report(self, before: States, after: States) -> None:
        for name in before.keys() | after.keys():
            if _definition(before.get(name)) != _definition(after.get(name)):
                data = {"name": name, "schedule": after.get(name)}
                self._publisher.event("schedule_changed", data)

    def _is_new(self, version: Version | None, now: float) -> bool:
        before = self._version
        if version is None or before is None or version[0] != before[0]:
            return version != before
        ran = [name for name, run in version[1].items() if run != before[1].get(name)]
        if any(not self._is_quick(name) for name in ran):
            return True
        return bool(ran) and now - (self._published_at or 0.0) >= RUNS_S

    def _is_quick(self, name: str) -> bool:
        """Whether a schedule runs more often than it is published."""
        every = (self.known or {}).get(name, {}).get("every")
        return every is not None and every < RUNS_S


def _definition(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {key: value for key, value in state.items() if key not in _OF_RUNS}
