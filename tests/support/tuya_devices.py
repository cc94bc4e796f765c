"""Devices on real sockets, also such as misbehave, and what a test needs to read them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import tuyamock
from pydantic import SecretStr
from support.waiting import LIMIT_S, eventually

from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.lan.loop import Loop
from esquirell.tuya.lan.network import Keep, Limits, Listener, Network, NullListener
from esquirell.tuya.simulator import SimulatedMeter
from esquirell.tuya.transport import LocalTransport

DEVICE_ID = "eb0123456789abcdefghij"
KEY = "k3y$#='(0123;\"ab"
OTHER_KEY = "0ther$#='(0123;x"
DPS = {"1": True, "18": 1250, "19": 2500, "20": 2301, "101": 7}
MEASURED = {"101": 2301, "133": -1250}
VERSIONS: tuple[ProtocolVersion, ...] = ("3.1", "3.2", "3.3", "3.4", "3.5")

QUICK = Limits(
    connect_s=1.0,
    key_s=0.6,
    answer_s=0.6,
    quiet_s=0.1,
    refresh_s=0.2,
    probe_s=0.5,
    total_s=5.0,
    lock_wait_s=0.3,
    gap_s=0.02,
    failures_to_cool=3,
    cool_s=0.5,
    cool_max_s=0.8,
)


# For devices that give no answer anyway, so that there is nothing to wait for.
HASTY = replace(QUICK, key_s=0.2, answer_s=0.2, probe_s=0.1)


# For tests that skip time: what a device takes to answer must not be skipped.
PATIENT = replace(QUICK, connect_s=20.0, key_s=20.0, answer_s=20.0, total_s=60.0)


class SkippingClock:
    """The system's clock, and all the seconds that a test has skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


class LanReader(LocalTransport):
    """A transport with surroundings for tests, which returns bare datapoints."""

    def __init__(
        self,
        lock_dir: Path,
        *,
        keep: Keep = "closed",
        limits: Limits = QUICK,
        finder: Finder | None = None,
        addresses: Addresses | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.clock = SkippingClock()
        self.loop = Loop(self.clock)
        self.network = Network(
            lock_dir,
            keep=lambda _: keep,
            interval_s=lambda _: 60.0,
            finder=finder or Finder(),
            addresses=addresses or Addresses(lock_dir / "addresses"),
            listener=listener or NullListener(),
            loop=self.loop,
            limits=limits,
        )
        super().__init__(self.network)

    def dps(
        self, meter: Meter, refresh: tuple[int, ...] = (), *, forced: bool = False
    ) -> Mapping[str, Any]:
        """Read a meter. Raises MeterError."""
        return self.read(Question(meter, refresh, forced=forced)).values

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass at once for all devices."""
        skipped = threading.Event()

        def skip() -> None:
            self.clock.skipped += seconds
            skipped.set()

        self.loop.call(skip)
        assert skipped.wait(LIMIT_S)

    def eventually(self, look: Callable[[], object], step_s: float = 1.0) -> None:
        """Skip time in steps until `look` returns something."""
        eventually(lambda: self.skip(step_s) or look())  # type: ignore[func-returns-value]


class MakeTransport(Protocol):
    """Makes a transport whose connections are kept or not; all share one folder of locks."""

    def __call__(self, *, keep: Keep = "closed", limits: Limits = QUICK) -> LanReader: ...


Behaviour = Callable[[socket.socket], None]
Reaction = Callable[["MockSession", "MockRequest", bytes | None], bytes | None]


class MockRequest(Protocol):
    """A request as tuyamock has opened it."""

    cmd: int
    payload: bytes


class MockProfile(Protocol):
    """How a device of one protocol builds its frames."""

    def encrypt_payload(self, session: "MockSession", data: bytes) -> bytes: ...
    def pack_response(self, session: "MockSession", cmd: int, wire_payload: bytes) -> bytes: ...


class MockSession(Protocol):
    """What tuyamock holds for one connection."""

    profile: MockProfile

    def status_push(self, dps: Mapping[str, object]) -> bytes: ...


def frame(session: MockSession, command: int, text: bytes) -> bytes:
    """Build an answer of a mock that says `text`."""
    sealed = session.profile.encrypt_payload(session, text) if text else b""
    return session.profile.pack_response(session, command, sealed)


def a_meter(
    port: int,
    protocol: ProtocolVersion = "3.3",
    key: str = KEY,
    *,
    name: str = "main",
    address: str = "127.0.0.1",
) -> Meter:
    """Describe the device on a port of this machine."""
    return Meter(
        name=name,
        device_id=DEVICE_ID,
        address=address,
        port=port,
        local_key=SecretStr(key),
        protocol=protocol,
    )


@contextmanager
def mock_device(
    version: str, react: Reaction | None = None, *, port: int = 0, **options: object
) -> Iterator[Any]:
    """Run a tuyamock device that holds DPS and KEY, unless `options` say otherwise.

    `react` answers each request in place of the mock: it gets the mock's session, the
    request, and what the mock would have answered.
    """
    settings = {"local_key": KEY, "dps": DPS, "gw_id": DEVICE_ID} | options
    mock = tuyamock.MockDevice(version=version, port=port, **settings)
    if react is not None:
        mock.server.device.new_session = partial(_session, mock.config, react)
    mock.start()
    try:
        yield mock
    finally:
        # The mock can't be stopped before it has begun to serve.
        eventually(lambda: mock.server.connections or _visited(mock.port))
        mock.stop()
        # The mock leaves these to the garbage collector, which pytest takes for an error.
        mock.server._wake_r.close()  # noqa: SLF001 - tuyamock's
        mock.server._wake_w.close()  # noqa: SLF001 - the same


def _visited(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port)).close()
    return False


@contextmanager
def simulated(version: str, key: str = KEY) -> Iterator[SimulatedMeter]:
    """Run a simulated meter that measures MEASURED."""
    meter = SimulatedMeter(DEVICE_ID, key, version, lambda: MEASURED)
    meter.start()
    try:
        yield meter
    finally:
        meter.stop()


def _session(config: Any, react: Reaction) -> Any:  # noqa: ANN401  tuyamock has no types
    session = tuyamock.Session(config)
    usual = session.handle
    session.handle = lambda request: react(session, request, usual(request))
    return session


def say_nothing(connection: socket.socket) -> None:
    """Take everything and never answer."""
    while connection.recv(4096):
        pass


def hang_up(connection: socket.socket) -> None:
    """Wait for the first request and close the connection."""
    connection.recv(4096)


class FakeDevice:
    """Listens on a port and treats each connection as `behave` says, then closes it."""

    def __init__(self, behave: Behaviour, port: int = 0, address: str = "127.0.0.1") -> None:
        self.connections = 0
        self._behave = behave
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((address, port))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake a thread that waits in accept() or recv().
        for endpoint in (self._listener, *self._open):
            with suppress(OSError):
                endpoint.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._treat, args=[connection], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _treat(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._behave(connection)


def unused_port() -> int:
    """Find a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def swallowing_port() -> Iterator[int]:
    """Open a port to which connecting takes for ever.

    On Linux a full queue of waiting connections makes the system drop further ones.
    """
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
