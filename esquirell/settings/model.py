"""The settings as a whole: all sections, meters, schedules and tariffs, and where they are."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from esquirell.domain.meter import Meter
from esquirell.domain.schedule import Schedule
from esquirell.domain.tariff import Tariff
from esquirell.settings import urls
from esquirell.settings.files import profiles_beside
from esquirell.settings.sections import (
    BackupSettings,
    CloudSettings,
    DatabaseSettings,
    FlowerSettings,
    HomeAssistantSettings,
    LogSettings,
    MetricsSettings,
    MqttSettings,
    RedisSettings,
    Section,
    TaskSettings,
    WebSettings,
    WorkerSettings,
)
from esquirell.settings.state_files import SPOOL
from esquirell.settings.zones import check_zone, machine_zone

DEFAULT_SCHEDULE = {"name": "fetch", "every": 60}
LONGEST_SOCKET_PATH = 100


class Configuration(Section):
    """Everything that a configuration file can contain."""

    timezone: Annotated[str, AfterValidator(check_zone)] = Field(
        default_factory=lambda: machine_zone(os.environ) or "UTC"
    )
    state_dir: Path = Path("data")
    log: LogSettings = LogSettings()
    redis: RedisSettings = RedisSettings()
    database: DatabaseSettings = DatabaseSettings()
    mqtt: MqttSettings = MqttSettings()
    cloud: CloudSettings = CloudSettings()
    meters: tuple[Meter, ...] = ()
    schedules: tuple[Schedule, ...] = (Schedule.model_validate(DEFAULT_SCHEDULE),)
    tariffs: tuple[Tariff, ...] = ()
    tasks: TaskSettings = TaskSettings()
    worker: WorkerSettings = WorkerSettings()
    flower: FlowerSettings = FlowerSettings()
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    backup: BackupSettings = BackupSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()


class Settings(Configuration):
    """The effective configuration, and what loading it revealed.

    `source` is its file, None without one; `added` names the meters whose files are in the state
    directory. `warnings` holds one sentence each, `no_meter` the one to a service without a meter,
    `open_token` that of them which says why the token for Home Assistant is not used. `left_out`
    maps each added meter whose file can't be used to the reason, `damaged_profiles` likewise for
    the user's own profiles. Nothing in `state_dir` needs to exist: files are created on first use.
    """

    source: Path | None = None
    added: tuple[str, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    damaged_profiles: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    no_meter: str = ""
    open_token: str = ""

    @property
    def configured(self) -> tuple[Meter, ...]:
        """The meters of the file and the environment, without those that were added."""
        return tuple(meter for meter in self.meters if meter.name not in self.added)

    @property
    def damage(self) -> list[str]:
        """One sentence about each meter that is left out, and each own profile that is not used."""
        meters = [f"{why}: the meter {name} is left out" for name, why in self.left_out.items()]
        profiles = self.damaged_profiles.items()
        return [*meters, *(f"{why}: the profile {name} is not used" for name, why in profiles)]

    @property
    def meter_names(self) -> list[str]:
        """The names of the meters, in the order of the configuration."""
        return [meter.name for meter in self.meters]

    @property
    def database_url(self) -> str:
        """The database to connect to, with its password: not to be logged or shown.

        A relative SQLite file is in the state directory.
        """
        file = urls.sqlite_file(self.database.url)
        if file is not None:
            return urls.sqlite_url(str(self.state_dir / file))
        return urls.join_password(self.database.url, self.database.password.get_secret_value())

    @property
    def redis_url(self) -> str:
        """Redis as redis-py expects it, without the password; our own listens on a socket."""
        if self.redis.embedded:
            return f"unix://{self.redis_socket}?db=0"
        return urls.for_redis(self.redis.url)

    @property
    def redis_socket(self) -> Path:
        """The socket of the Redis that this program starts.

        In the state directory, or else in the one for temporary files, as the kernel limits its
        path to 107 bytes.
        """
        path = self.state_dir / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        short = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"esquirell-{os.getuid()}-{short}.sock"

    @property
    def folder(self) -> Path | None:
        """The folder of the configuration file."""
        return self.source.parent if self.source else None

    @property
    def spool_file(self) -> Path:
        """The file of readings that wait while the database is unreachable."""
        return self.state_dir / SPOOL

    @property
    def backup_dir(self) -> Path:
        """The folder for backups of the database."""
        return self.backup.folder or self.state_dir / "backups"

    @property
    def profiles_dir(self) -> Path | None:
        """The folder of the user's own profiles, one TOML file each."""
        return profiles_beside(self.source)

    @property
    def lock_dir(self) -> Path:
        """The folder of locks between the processes of this machine."""
        return self.state_dir / "locks"
