"""Backfills into Home Assistant's statistics: built only when one is requested."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from esquirell.domain.clock import Clock
from esquirell.domain.errors import CommandError, ConfigError, unknown_meter
from esquirell.domain.quantity import split_key
from esquirell.domain.statistic import names_of
from esquirell.homeassistant.connection import SUPERVISOR, Connection, websocket_url
from esquirell.homeassistant.statistics import LongTermStatistics
from esquirell.mqtt.topics import Topics
from esquirell.runtime.storage import Storage
from esquirell.services.backfill import Backfill, BackfillOptions, Progress, Report, silent
from esquirell.services.backfill_plan import LongTerm, Sensor
from esquirell.services.backfill_undo import Undo, Undone
from esquirell.services.our_hours import COST_PERIODS, OurHours
from esquirell.settings import Settings
from esquirell.settings.home_assistant_app import TOKEN
from esquirell.settings.private_files import make_directory
from esquirell.storage.backfills import Backfills


class Backfilling:
    """Backfills of the configured meters; one at a time on this machine."""

    def __init__(self, settings: Settings, storage: Storage, clock: Clock) -> None:
        self._settings = settings
        self._storage = storage
        self._clock = clock
        self._journal = Backfills(storage.database)

    def chosen(self, names: Sequence[str] | None) -> list[str]:
        """Return the names of the meters, or of all. Raises CommandError for an unknown one."""
        known = [meter.name for meter in self._settings.meters]
        for name in names or ():
            if name not in known:
                raise unknown_meter(name, known)
        return known if names is None else list(dict.fromkeys(names))

    def fill(
        self,
        options: BackfillOptions,
        progress: Progress = silent,
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> Report:
        """Fill gaps, after bringing our statistics up to date.

        Raises ConfigError, CommandError, UnavailableError and HomeAssistantError.
        """
        storage = self._storage
        with self._alone():
            storage.statistics.rollup(None, options.meters)
            ours = OurHours(storage.periods, storage.readings, storage.costs, storage.calendar)
            backfill = Backfill(self.connect, ours, self._journal, self._clock)
            return backfill.run(self._sensors(options.meters), options, progress, check_cancelled)

    def undo(self) -> Undone | None:
        """Undo the last backfill; None if there is none.

        Raises ConfigError, CommandError, UnavailableError and HomeAssistantError.
        """
        with self._alone():
            names = [meter.name for meter in self._settings.meters]
            return Undo(self.connect, self._journal).run(self._sensors(names))

    @contextmanager
    def connect(self) -> Iterator[LongTerm]:
        """Connect to Home Assistant's statistics. Raises ConfigError and HomeAssistantError."""
        url, token = self._access()
        with Connection(url, token) as connection:
            yield LongTermStatistics(connection)

    def _access(self) -> tuple[str, str]:
        configured = self._settings.home_assistant
        if token := configured.token.get_secret_value():
            return websocket_url(configured.url), token
        if in_app := os.environ.get(TOKEN):
            return SUPERVISOR, in_app
        raise ConfigError(
            self._settings.open_token
            or "home_assistant.token_file is missing: in your profile in Home Assistant, under "
            "Security, create a long-lived access token, and put it into a file with mode 0600"
        )

    def _sensors(self, meters: Sequence[str]) -> list[Sensor]:
        topics = Topics(self._settings.mqtt.base_topic, self._settings.mqtt.discovery_prefix)
        statuses = self._storage.readings.statuses()
        sensors = []
        for meter in meters:
            keys = statuses[meter].keys if meter in statuses else ()
            units = {key: split_key(key)[0].unit for key in keys if names_of(key)}
            if tariff := self._storage.costs.tariff_of(meter):
                units |= dict.fromkeys(COST_PERIODS, tariff.currency)
            sensors += [
                Sensor(meter, key, topics.meter_id(meter, key), unit) for key, unit in units.items()
            ]
        return sensors

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a lock of the kernel's, which frees itself when the process is killed."""
        make_directory(self._settings.lock_dir)
        with (self._settings.lock_dir / "backfill.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CommandError(
                    "unavailable", "another backfill is running: wait until it has ended"
                ) from None
            yield
