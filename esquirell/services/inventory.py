"""Adds, changes, exchanges and removes meters while the service runs."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from esquirell.domain.counters import GONE
from esquirell.domain.device import Device
from esquirell.domain.errors import CommandError, ConfigError, DiskError, unknown_meter
from esquirell.domain.hosts import is_at_home
from esquirell.domain.meter import CALM_PUBLISH_EVERY_S, Meter
from esquirell.domain.payload import sentence
from esquirell.domain.reading import Reading, payload
from esquirell.domain.record import record
from esquirell.domain.requests import (
    MeterChange,
    MeterExchange,
    MeterFields,
    MeterRemoval,
    MeterTrial,
    NewMeter,
)
from esquirell.services.ledgers import source_of

Table = dict[str, Any]
Result = TypeVar("Result")


class MeterFiles(Protocol):
    """Keeps the files of the meters.

    Raises ConfigError for what would not load, and DiskError for what can't be written now.
    """

    def alone(self) -> AbstractContextManager[None]:
        """Keep everybody else on this machine from changing the files meanwhile."""

    def put(self, name: str, table: Mapping[str, Any]) -> Path:
        """Write the file of a meter; return its path."""

    def read(self, name: str) -> Table:
        """Return what the file of a meter says, its secrets included."""

    def remove(self, name: str) -> None:
        """Remove the file of a meter."""


@record
class ConfiguredMeters:
    """The current meters, and the names of those that were added here.

    `left_out` maps meters whose files are damaged to the reason.
    """

    meters: Sequence[Meter]
    added: Collection[str]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {meter.name for meter in self.meters}


@record
class Inventory:
    """Adds, changes, exchanges and removes meters; raises CommandError and errors of reading.

    `read` reads a meter once without storing anything; `note` stores a description of a device, by
    id; `reports_often` returns whether a meter just read reports by itself within seconds;
    `taken_over` makes this process use the present files; `hand_over` assigns the counters of a
    meter to another source; `forget` removes stored readings of a meter and returns their number;
    `readers` returns the schedules that name a meter; `host` is this machine.
    """

    files: MeterFiles
    known: Callable[[], ConfiguredMeters]
    read: Callable[[Meter, Device | None], Reading]
    note: Callable[[str, Device], None]
    reports_often: Callable[[Meter], bool]
    taken_over: Callable[[], None]
    hand_over: Callable[[str, str], None]
    forget: Callable[[str], int]
    readers: Callable[[str], Sequence[str]]
    host: str

    def try_out(self, trial: MeterTrial) -> Table:
        """Read a meter before it is added."""
        began = time.monotonic()
        reading = self.read(_meter(trial.name, trial.table), trial.device)
        taken_ms = round((time.monotonic() - began) * 1000)
        return {"name": trial.name, "reading": _shape(reading), "duration_ms": taken_ms}

    def add(self, new: NewMeter) -> Table:
        meter = self._new(new)
        reading = self.read(meter, new.device) if new.test else None
        often = new.test and new.publish_every is None and self.reports_often(meter)
        pace = {"publish_every": CALM_PUBLISH_EVERY_S} if often else {}
        with self._alone():
            # It may have been added meanwhile.
            meter = self._new(new)
            self._note(meter, new)
            return self._saved(meter, new.table | pace, reading) | {"reports_often": often}

    def change(self, change: MeterChange) -> Table:
        if not change.table:
            raise CommandError("invalid_payload", "name at least one setting to change")
        with self._alone():
            table = self._table(change.name) | change.table
            meter = _meter(change.name, table)
            self._refuse_double(meter, self.known())
            self._note(meter, change)
            return self._saved(meter, table, None)

    def exchange(self, exchange: MeterExchange) -> Table:
        """Replace the device of a meter."""
        if exchange.device_id is None:
            raise CommandError("invalid_payload", "device_id: the new device's id is missing")
        meter, _ = self._exchanged(exchange)
        reading = self.read(meter, exchange.device) if exchange.test else None
        with self._alone():
            # Its label may have been changed meanwhile.
            meter, table = self._exchanged(exchange)
            self._note(meter, exchange)
            if exchange.counter != "auto":
                anew = exchange.counter == "anew"
                source = GONE if anew else source_of(meter.device_id, meter.invert)
                self.hand_over(meter.name, source)
            return self._saved(meter, table, reading)

    def remove(self, removal: MeterRemoval) -> Table:
        """Remove a meter; its history stays unless it is to be deleted."""
        if removal.name not in self.known().left_out:
            self._table(removal.name)
        if readers := self.readers(removal.name):
            raise CommandError(
                "invalid_payload",
                f"the schedule {readers[0]} reads {removal.name}: change the schedule first",
            )
        with self._alone():
            _guarded(lambda: self.files.remove(removal.name))
            self.taken_over()
        forgotten = self.forget(removal.name) if removal.forget else 0
        return {"name": removal.name, "forgotten": forgotten}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Prevent other changes to a meter between reading its file and writing it."""
        with ExitStack() as stack:
            _guarded(lambda: stack.enter_context(self.files.alone()))
            yield

    def _new(self, new: NewMeter) -> Meter:
        known = self.known()
        if new.name in known.names:
            raise CommandError("already_exists", f"a meter {new.name} exists already")
        meter = _meter(new.name, new.table)
        self._refuse_double(meter, known)
        return meter

    def _exchanged(self, exchange: MeterExchange) -> tuple[Meter, Table]:
        """Return the meter with its new device, and the new content of its file."""
        table = _without(self._table(exchange.name), OF_THE_DEVICE) | exchange.table
        meter = _meter(exchange.name, table)
        self._refuse_double(meter, self.known())
        return meter, table

    def _table(self, name: str) -> Table:
        """Return the settings of a meter that was added here."""
        known = self.known()
        if problem := known.left_out.get(name):
            raise CommandError("unavailable", f"{name} is left out: {problem}")
        if name not in known.names:
            raise unknown_meter(name, sorted(known.names))
        if name not in known.added:
            raise CommandError(
                "invalid_payload",
                f"{name} is defined in the configuration file: change it there",
            )
        return _guarded(lambda: self.files.read(name))

    def _saved(self, meter: Meter, table: Table, reading: Reading | None) -> Table:
        said = {key: value for key, value in table.items() if value != "" and key != "name"}
        file = _guarded(lambda: self.files.put(meter.name, {"name": meter.name} | said))
        self.taken_over()
        return {
            "name": meter.name,
            "label": meter.title,
            "host": self.host,
            "file": str(file),
            "reading": _shape(reading) if reading else None,
        }

    def _note(self, meter: Meter, fields: MeterFields) -> None:
        if fields.device is not None:
            self.note(meter.device_id, fields.device)

    def _refuse_double(self, meter: Meter, known: ConfiguredMeters) -> None:
        for other in known.meters:
            same = (other.device_id, other.cid) == (meter.device_id, meter.cid)
            if same and other.name != meter.name:
                raise CommandError(
                    "already_exists", f"this device is already the meter {other.name}"
                )


def _guarded(work: Callable[[], Result]) -> Result:
    """Run the configuration's own checks. Raises CommandError."""
    try:
        return work()
    except DiskError as error:
        raise CommandError(error.code, str(error)) from error
    except ConfigError as error:
        raise CommandError("invalid_payload", str(error)) from error


# Settings of the device, not of the place that it measures.
OF_THE_DEVICE = frozenset(
    {
        "device_id",
        "local_key",
        "address",
        "port",
        "protocol",
        "profile",
        "product_id",
        "gateway",
        "cid",
        "mapping_file",
    }
)


def _without(table: Table, keys: Collection[str]) -> Table:
    return {key: value for key, value in table.items() if key not in keys}


def _meter(name: str, table: Mapping[str, Any]) -> Meter:
    """Return the meter described by a table. Raises CommandError."""
    try:
        meter = Meter.model_validate({**table, "name": name})
    except ValidationError as error:
        raise CommandError("invalid_payload", sentence(error)) from None
    if meter.address != "auto" and not is_at_home(meter.address):
        raise CommandError(
            "invalid_payload",
            'address: must be an address of your network, such as 192.168.1.50, or "auto"',
        )
    return meter


def _shape(reading: Reading) -> Table:
    return payload(reading, tuple(reading.values))
