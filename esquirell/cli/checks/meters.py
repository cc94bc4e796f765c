"""The meters: what is configured of each, and whether it answers."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.domain.errors import ConfigError, MeterError
from esquirell.domain.ledger import Ledger
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.domain.reading import iso
from esquirell.domain.status import MeterStatus
from esquirell.profiles import Choices
from esquirell.profiles.choice import UNKNOWN
from esquirell.settings import Settings

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Finder

_CONNECT_S = 1.0
_LISTEN_S = 0.3
_SEARCH_S = 10.0
_AT_ONCE = 32


def configured(settings: Settings) -> Iterator[Finding]:
    """Look whether what is configured of each meter can work."""
    choices = Choices(lambda: settings.profiles_dir)
    if not settings.meters:
        yield advice("meters", "none is configured", "esquirell meters add adds one")
    for meter in settings.meters:
        yield _profile(meter, choices)
        yield _key(meter)


def reachable(meters: Sequence[Meter]) -> Iterator[Finding]:
    """Connect to each meter, side by side; only while no service holds their connections."""
    local = [meter for meter in meters if meter.transport == "local"]
    there = [meter for meter in local if meter.address != "auto"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(_connect, there)
    searched = [meter for meter in local if meter.address == "auto"]
    if searched:
        yield from _search(searched)


def polled(meters: Sequence[Meter], statuses: Mapping[str, MeterStatus]) -> Iterator[Finding]:
    """Report how each meter answers the service that is running."""
    for meter in meters:
        yield _polled(meter, statuses.get(meter.name, MeterStatus()))


def plausible(meters: Sequence[Meter], ledgers: Mapping[str, Ledger]) -> Iterator[Finding]:
    """Report what was odd about the last reading of each meter."""
    for meter in meters:
        if meter.name not in ledgers:
            continue
        check, warnings = f"meter {meter.name}: values", ledgers[meter.name].warnings
        if not warnings:
            yield fine(check, "plausible")
        for warning in warnings:
            yield advice(check, warning, "compare with the meter's display and its profile")


def _profile(meter: Meter, choices: Choices) -> Finding:
    check = f"meter {meter.name}: profile"
    try:
        profile = choices.of(meter)
    except ConfigError as error:
        return fault(check, str(error), "correct that setting")
    if profile is UNKNOWN:
        remedy = "set product_id, mapping_file or profile to be sure"
        return advice(check, "to be recognised by what the meter answers", remedy)
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
    try:
        with socket.create_connection((meter.address, meter.port), _CONNECT_S) as line:
            held = _hangs_up(line)
    except OSError as error:
        message = f"{where} can't be reached ({error.strerror or error})"
        remedy = "check that it has power and Wi-Fi, and that its address is still this one"
        return fault(check, message, remedy)
    if held:
        message = f"{where} hangs up at once, as it does while another program is connected"
        return fault(check, message, "close the Tuya app, or whatever else reads it locally")
    return fine(check, f"{where} accepts connections")


def _search(meters: Sequence[Meter]) -> Iterator[Finding]:
    """Search for meters by their ids, all at the same time, and connect to those found."""
    from esquirell.runtime.unconfigured import (  # noqa: PLC0415 - only who searches needs it
        finder as finder_of,
    )

    finder = finder_of(_SEARCH_S)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(partial(_found, finder), meters)


def _found(finder: "Finder", meter: Meter) -> Finding:
    try:
        address = finder.find(meter).address
    except MeterError as error:
        remedy = "esquirell scan lists the devices that are heard"
        return fault(f"meter {meter.name}: address", str(error), remedy)
    return _connect(meter.model_copy(update={"address": address}))


def _hangs_up(line: socket.socket) -> bool:
    """Return whether the device closes a connection on which nothing was said."""
    line.settimeout(_LISTEN_S)
    try:
        return not line.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def _polled(meter: Meter, status: MeterStatus) -> Finding:
    check = f"meter {meter.name}: readings"
    last = f"last read {iso(status.last_success)}" if status.last_success else "never read"
    if not status.failures:
        return fine(check, last)
    message = f"{status.failures} failed polls in a row ({status.reason}), {last}"
    return fault(check, message, f"esquirell meters test {meter.name} says more")
