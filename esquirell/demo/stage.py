"""The time between the start of the service and its end."""

import time
from dataclasses import dataclass, field

from esquirell.daemon.signals import Flag
from esquirell.demo.child import Child
from esquirell.demo.plan import DemoError, Plan
from esquirell.demo.record import Record
from esquirell.demo.scene import Scene, View
from esquirell.demo.tally import Tally
from esquirell.demo.watch import Watch

# On a slow machine the service has this long for its first reading, even if `--seconds` is less.
FIRST_READING_S = 60.0
TICK_S = 0.1


@dataclass(slots=True)
class Stage:
    """Shows what happens until the time is over, somebody stops it, or a part ends by itself."""

    plan: Plan
    stopped: Flag
    watch: Watch
    record: Record
    children: tuple[Child, ...]
    began: float = field(default_factory=time.monotonic)

    def play(self, view: View) -> None:
        """Show scenes until the end. Raises DemoError and UnavailableError."""
        shown_at = 0.0
        while not self._over():
            if time.monotonic() - shown_at >= view.pause_s:
                view.show(self._scene())
                shown_at = time.monotonic()
            self.stopped.wait(TICK_S)

    @property
    def elapsed_s(self) -> float:
        """The seconds since it started."""
        return time.monotonic() - self.began

    def _over(self) -> bool:
        for child in self.children:
            if child.exit_code is not None:
                raise DemoError(f"{child.name} ended by itself", child.last_words())
        if self.stopped.is_set():
            return True
        seconds = self.plan.seconds
        return seconds is not None and self.elapsed_s >= seconds and self._has_begun(seconds)

    def _has_begun(self, seconds: int) -> bool:
        return self.watch.sight().readings > 0 or self.elapsed_s > seconds + FIRST_READING_S

    def _scene(self) -> Scene:
        sight = self.watch.sight()
        if not sight.readings:
            return Scene(self.elapsed_s, sight, Tally(0, 0), ())
        # In this order: what was published was stored before.
        tally = Tally(self.record.stored(), sight.readings)
        return Scene(self.elapsed_s, sight, tally, self.record.schedules())
