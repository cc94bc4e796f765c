"""The meters: what is configured of each, and whether it answers."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from esquirell import profiles
from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.domain.reading import iso
from esquirell.domain.status import MeterStatus

_CONNECT_S = 1.0
_AT_ONCE = 32


def configured(meters: Sequence[Meter]) -> Iterator[Finding]:
    """Look whether what is configured of each meter can work."""
    if not meters:
        yield advice("meters", "none is configured", "add one as [[meters]]")
    for meter in meters:
        yield _profile(meter)
        yield _key(meter)


def reachable(meters: Sequence[Meter]) -> Iterator[Finding]:
    """Connect to each meter, side by side; only while no service holds their connections."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(_connect, [meter for meter in meters if meter.transport == "local"])


def polled(meters: Sequence[Meter], statuses: Mapping[str, MeterStatus]) -> Iterator[Finding]:
    """Tell how each meter answers the service that is running."""
    for meter in meters:
        yield _polled(meter, statuses.get(meter.name, MeterStatus()))


def _profile(meter: Meter) -> Finding:
    check = f"meter {meter.name}: profile"
    try:
        profile = profiles.find(meter.profile, meter.product_id)
    except ConfigError as error:
        return fault(check, str(error), "set profile, or product_id, to what it is")
    return fine(check, f"{profile.name}, {profile.title}")


def _key(meter: Meter) -> Finding:
    key = meter.local_key.get_secret_value()
    check = f"meter {meter.name}: local key"
    if meter.transport == "cloud":
        return fine(check, "not needed, as it is read through the cloud")
    if len(key) == LOCAL_KEY_LENGTH and key.isascii() and key.isprintable() and " " not in key:
        return fine(check, f"{LOCAL_KEY_LENGTH} characters")
    message = "it can't be a Tuya key: it holds what is no letter, digit or sign"
    return fault(check, message, "copy it again; in a configuration it stands in 'single quotes'")


def _connect(meter: Meter) -> Finding:
    check, where = f"meter {meter.name}: address", f"{meter.address}:{meter.port}"
    if meter.address == "auto":
        message = 'address = "auto" can\'t be used yet'
        return fault(check, message, "set address to its IP address")
    try:
        socket.create_connection((meter.address, meter.port), _CONNECT_S).close()
    except OSError as error:
        message = f"{where} can't be reached ({error.strerror or error})"
        remedy = "check that it has power and Wi-Fi, and that its address is still this one"
        return fault(check, message, remedy)
    return fine(check, f"{where} accepts connections")


def _polled(meter: Meter, status: MeterStatus) -> Finding:
    check = f"meter {meter.name}: readings"
    last = f"last read {iso(status.last_success)}" if status.last_success else "never read"
    if not status.failures:
        return fine(check, last)
    message = f"{status.failures} failed polls in a row ({status.reason}), {last}"
    return fault(check, message, f"esquirell meters test {meter.name} says more")
