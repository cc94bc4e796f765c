"""Which lines to meters are held open by this process, so that their reports are heard."""

import logging
from collections.abc import Callable, Sequence

from esquirell.domain.errors import EsquirellError
from esquirell.domain.heard import Question
from esquirell.domain.meter import Meter

log = logging.getLogger(__name__)

TURN_S = 1.0


def may_be_held(meter: Meter) -> bool:
    """Whether a line to a meter is ever held: not through the cloud, nor if a user forbids it."""
    return meter.enabled and meter.push is not False and meter.transport == "local"


class Lines:
    """Has the lines of this process's meters held, and follows changes of the configuration."""

    def __init__(
        self,
        meters: Callable[[], Sequence[Meter]],
        question: Callable[[Meter], Question],
        hold: Callable[[Sequence[Question]], None],
    ) -> None:
        self._meters = meters
        self._question = question
        self._hold = hold
        self._held: Sequence[Meter] | None = None

    def turn(self) -> float:
        """Have the lines held that are to be; return the seconds until the next turn."""
        meters = [meter for meter in self._meters() if may_be_held(meter)]
        if meters != self._held:
            self._hold([one for meter in meters if (one := self._asked(meter)) is not None])
            self._held = meters
        return TURN_S

    def _asked(self, meter: Meter) -> Question | None:
        try:
            return self._question(meter)
        except EsquirellError as error:
            log.debug("the line of %s is not held: %s", meter.name, error)
            return None
