"""The demo from first to last step."""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from esquirell.daemon import resources
from esquirell.daemon.redis_server import end_server
from esquirell.daemon.signals import Flag, flag_of
from esquirell.demo.home import Home, own_environment, temporary_home
from esquirell.demo.meters import SimulatedMeters
from esquirell.demo.plan import HOST, DemoError, Plan, check_platform
from esquirell.demo.servers import Child, Guard, Servers, choose_servers, running_broker
from esquirell.demo.state import DemoState, Facts, Record, Tally, View, settle
from esquirell.demo.views import Lines, Screen
from esquirell.demo.watch import Watch
from esquirell.runtime.unconfigured import Topics, connection
from esquirell.settings import MqttSettings
from esquirell.settings.zones import machine_zone

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SERVICE_END_S = 15.0
# On a slow machine the service has this long for its first reading, even if `--seconds` is less.
FIRST_READING_S = 60.0
TICK_S = 0.1


def run(plan: Plan) -> Tally:
    """Run the demo until its time is over or a signal arrives; leave nothing behind.

    Raises DemoError when a part can't start, or ends by itself, and UnavailableError.
    """
    check_platform()
    # What the watching client may complain about ends the demo anyway, or shows in the service.
    logging.getLogger("esquirell").addHandler(logging.NullHandler())
    with _signals() as stopped, temporary_home() as home, Guard(home.folder) as guard:
        return _run(plan, home, guard, stopped)


def _run(plan: Plan, home: Home, guard: Guard, stopped: Flag) -> Tally:
    servers = choose_servers(plan.port)
    zone = machine_zone(os.environ) or "UTC"
    with (
        SimulatedMeters(plan) as simulated,
        running_broker(servers, home.log("broker"), guard) as broker,
        _watch(servers) as watch,
        closing(Record(home.database, zone)) as record,
    ):
        home.write(plan, servers, simulated, zone)
        with (
            _service(home, guard) as service,
            _view(Facts(plan, simulated.names, servers, home)) as view,
        ):
            resources.settle()
            DemoRun(plan, stopped, watch, record, (service, broker)).play(view)
        tally = settle(watch, record)
        _check_end(service, tally, stopped)
        return tally


def _watch(servers: Servers) -> Watch:
    mqtt = MqttSettings(host=HOST, port=servers.port, protocol=servers.broker.protocol)
    return Watch(connection(mqtt), Topics(), f"{HOST}:{servers.port}")


@contextmanager
def _signals() -> Iterator[Flag]:
    """Return a flag that is set when the user wants the demo to end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield flag_of(SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _service(home: Home, guard: Guard) -> Iterator[Child]:
    service = Child(
        "the service",
        home.service(),
        home.log("service"),
        guard,
        environment=own_environment(),
        end_s=SERVICE_END_S,
    )
    try:
        with service:
            yield service
    finally:
        # One that died could not end its Redis.
        end_server(home.redis_socket)


def _view(facts: Facts) -> View:
    console = Console()
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Screen(facts, console)
    return Lines(facts)


def _check_end(service: Child, tally: Tally, stopped: Flag) -> None:
    if tally.stored == 0 and not stopped.is_set():
        raise DemoError("no reading was stored", service.last_words())
    if tally.stored and service.exit_code != 0:
        raise DemoError(
            f"the service failed on exit (exit code {service.exit_code})", service.last_words()
        )


@dataclass(slots=True)
class DemoRun:
    """Shows what happens until the time is over, the user stops it, or a part ends by itself."""

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
                view.show(self._state())
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

    def _state(self) -> DemoState:
        sight = self.watch.sight()
        if not sight.readings:
            return DemoState(self.elapsed_s, sight, Tally(0, 0), ())
        # In this order: what was published was stored before.
        tally = Tally(self.record.stored(), sight.readings)
        return DemoState(self.elapsed_s, sight, tally, self.record.schedules())
