"""How long a read and each of its steps may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a read, all times in seconds.

    `connect_s` holds for each address of a device, `key_s` for the agreement on a session key,
    `refresh_s` for what follows an UPDATEDPS, which many devices leave unanswered, `answer_s` for
    the answer, counted anew from each frame that comes; `probe_s` for one try while the protocol
    is being found; `total_s` for all steps together. An answer is complete when nothing came for
    `quiet_s`, or all that came before. A read waits up to `lock_wait_s` for another process to
    end its own. Contacts with a device are `gap_s` apart. After `failures_to_cool` failures in a
    row a meter is left alone for `cool_s`, doubling up to `cool_max_s`.
    """

    connect_s: float = 3.0
    key_s: float = 5.0
    refresh_s: float = 1.0
    answer_s: float = 5.0
    quiet_s: float = 0.3
    probe_s: float = 1.0
    total_s: float = 20.0
    lock_wait_s: float = 2.0
    gap_s: float = 0.25
    failures_to_cool: int = 3
    cool_s: float = 10.0
    cool_max_s: float = 60.0


DEFAULT_LIMITS = Limits()
