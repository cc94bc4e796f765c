"""How long a read and each of its steps may take."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a read, all times in seconds.

    `answer_s` holds for the agreement on a session key and for the answer, each; `refresh_s`
    for what follows an UPDATEDPS, which many devices leave unanswered; `probe_s` for one try
    while the protocol is being found; `total_s` for all steps together. A read waits up to
    `lock_wait_s` for another one to end, one behind a gateway `gateway_wait_s`. After
    `failures_to_cool` failures in a row a meter is left alone for `cool_s`, doubling up to
    `cool_max_s`.
    """

    connect_s: float = 3.0
    answer_s: float = 3.0
    refresh_s: float = 1.0
    probe_s: float = 1.0
    total_s: float = 8.0
    lock_wait_s: float = 2.0
    gateway_wait_s: float = 15.0
    gap_s: float = 0.25
    failures_to_cool: int = 3
    cool_s: float = 10.0
    cool_max_s: float = 60.0


DEFAULT_LIMITS = Limits()


class Budget:
    """The time that one read has left, whatever each of its steps may take."""

    def __init__(self, total_s: float) -> None:
        self._end = time.monotonic() + total_s

    def until(self, step_s: float) -> float:
        """Give the monotonic time at which a step of `step_s` seconds has to end."""
        return min(time.monotonic() + step_s, self._end)

    def allows(self, seconds: float) -> bool:
        """Tell whether `seconds` are left."""
        return time.monotonic() + seconds <= self._end
