"""What is to be known of a device to judge what it says."""

from collections.abc import Collection
from dataclasses import dataclass

from esquirell.domain.inversion import Invert


@dataclass(frozen=True, slots=True)
class Instrument:
    """A device: `source` names it, `keys` are the quantities that it may send.

    `invert` says which of its values are turned round, `adds` are the counters that it adds to by
    reports, if somebody listens to those.
    """

    source: str
    keys: Collection[str] = ()
    invert: Invert = False
    adds: Collection[str] = ()
