"""The tables of the configuration: their settings with defaults, checked one by one."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from esquirell.domain import hosts
from esquirell.domain.numbers import WholeNumber
from esquirell.settings import urls
from esquirell.settings.values import (
    check_base_path,
    check_base_topic,
    check_host,
    check_module,
    check_network,
    check_page_password,
    check_prefix,
    check_sendable,
    check_url_prefix,
    check_user,
    parse_expiry,
    parse_retention,
)

NO_SECRET = SecretStr("")

Port = Annotated[WholeNumber, Field(ge=1, le=65535)]
Host = Annotated[str, AfterValidator(hosts.check_host)]
Peer = Annotated[str, AfterValidator(hosts.check_peer)]


class Section(BaseModel):
    """A table of the configuration: immutable, and unknown keys are rejected."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )


class LogSettings(Section):
    """How much is logged and in which form; `auto` suits people, with priorities in the journal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "human", "json"] = "auto"


class RedisSettings(Section):
    """Where Redis is; with `embedded`, `run` starts its own. The password is separate.

    `result_expires` is how long results of tasks that your own code sends are kept.
    """

    url: Annotated[str, AfterValidator(urls.check_redis)] = "redis://localhost:6379/0"
    password: SecretStr = NO_SECRET
    sentinel_password: SecretStr = NO_SECRET
    ca_file: Path | None = None
    result_expires: Annotated[timedelta, BeforeValidator(parse_expiry)] = timedelta(hours=1)

    @property
    def embedded(self) -> bool:
        """Whether this program starts its own Redis."""
        return self.url == urls.EMBEDDED

    @model_validator(mode="after")
    def _check_tls(self) -> "RedisSettings":
        if self.ca_file and not self.url.startswith("rediss://"):
            raise ValueError("ca_file needs a url that starts with rediss://")
        if self.sentinel_password.get_secret_value() and not self.url.startswith(urls.SENTINEL):
            raise ValueError(f"sentinel_password needs a url that starts with {urls.SENTINEL}")
        return self


class DatabaseSettings(Section):
    """Where readings are stored, how long raw ones are kept, and what a power cut may lose."""

    url: Annotated[str, AfterValidator(urls.check_database)] = "sqlite:///esquirell.db"
    password: SecretStr = NO_SECRET
    raw_retention: Annotated[timedelta, BeforeValidator(parse_retention)] = timedelta(days=90)
    log_retention: Annotated[timedelta, BeforeValidator(parse_retention)] = timedelta(days=90)
    durability: Literal["full", "normal"] = "full"


class MqttSettings(Section):
    """The MQTT broker, and the topics below which everything is published."""

    host: Peer = "localhost"
    port: Port = 1883
    username: str = ""
    password: SecretStr = NO_SECRET
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    base_topic: Annotated[str, AfterValidator(check_base_topic)] = "esquirell"
    discovery_prefix: Annotated[str, AfterValidator(check_prefix)] = "homeassistant"
    history: bool = False

    @model_validator(mode="after")
    def _check_pairs(self) -> "MqttSettings":
        if self.password.get_secret_value() and not self.username:
            raise ValueError("password needs a username")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file must be set together")
        if not self.tls and (self.ca_file or self.cert_file):
            raise ValueError("ca_file, cert_file and key_file need tls = true")
        return self


class TaskSettings(Section):
    """Python modules with your own tasks.

    Over MQTT only tasks marked as schedulable can be run, or all of them with `over_mqtt`.
    """

    modules: tuple[Annotated[str, AfterValidator(check_module)], ...] = ()
    over_mqtt: bool = False


class WorkerSettings(Section):
    """How many tasks one worker runs in parallel."""

    concurrency: Annotated[WholeNumber, Field(ge=1, le=64)] = 4


class FlowerSettings(Section):
    """Where Flower listens; without a password it generates one and shows it.

    `max_tasks` bounds its memory (about 5 KiB per task). `open_metrics` serves /metrics and
    /healthcheck without the password. `hosts` are further host names for it, as behind a proxy.
    """

    address: Host = "127.0.0.1"
    port: Port = 5555
    user: Annotated[str, AfterValidator(check_user)] = "esquirell"
    password: Annotated[SecretStr, AfterValidator(check_sendable)] = NO_SECRET
    url_prefix: Annotated[str, AfterValidator(check_url_prefix)] = ""
    max_tasks: Annotated[WholeNumber, Field(ge=100, le=100_000)] = 1000
    read_only: bool = False
    open_metrics: bool = False
    hosts: tuple[Annotated[str, AfterValidator(check_host)], ...] = ()


class WebSettings(Section):
    """Where `run` and `web` serve the page; port 0 switches it off.

    Without a password one is created in the state directory. `proxy` is the address (or network) of
    a reverse proxy: only its X-Forwarded-* headers count. `hosts` are further host names for the
    page.
    """

    port: Annotated[WholeNumber, Field(ge=0, le=65535)] = 8155
    address: Host = "127.0.0.1"
    password: Annotated[SecretStr, AfterValidator(check_page_password)] = NO_SECRET
    base_path: Annotated[str, AfterValidator(check_base_path)] = ""
    proxy: Annotated[str, AfterValidator(check_network)] = ""
    hosts: tuple[Annotated[str, AfterValidator(check_host)], ...] = ()


class BackupSettings(Section):
    """Where the task `backup` puts its copies of the database, and how many it keeps.

    Without a folder it uses `backups` in the state directory.
    """

    folder: Path | None = None
    keep: Annotated[WholeNumber, Field(ge=1, le=1000)] = 7


class MetricsSettings(Section):
    """Where Prometheus finds the metrics; port 0 switches them off. They need no login."""

    address: Host = "127.0.0.1"
    port: Annotated[WholeNumber, Field(ge=0, le=65535)] = 0


class CloudSettings(Section):
    """A project in Tuya's cloud, and how often it may be asked; 0 means no limit.

    `app_url` serves QR codes for Tuya's app, without a project. With `keys`, the key that the cloud
    lists is used when a meter rejects its local key.
    """

    region: Literal["eu", "eu-w", "us", "us-e", "cn", "in", "sg"] = "eu"
    api_key: str = ""
    api_secret: SecretStr = NO_SECRET
    url: Annotated[str, AfterValidator(urls.check_cloud)] = ""
    app_url: Annotated[str, AfterValidator(urls.check_cloud)] = "https://apigw.iotbing.com"
    keys: bool = False
    requests_per_day: Annotated[WholeNumber, Field(ge=0)] = 850
    requests_per_month: Annotated[WholeNumber, Field(ge=0)] = 26000

    @model_validator(mode="after")
    def _check_pair(self) -> "CloudSettings":
        if bool(self.api_key) != bool(self.api_secret.get_secret_value()):
            raise ValueError("api_key and api_secret must be set together")
        return self


class HomeAssistantSettings(Section):
    """Where Home Assistant is, and an administrator's long-lived access token, for backfills only.

    A token file that others can read is not used. In a Home Assistant app neither is needed.
    """

    url: Annotated[str, AfterValidator(urls.check_home_assistant)] = (
        "http://homeassistant.local:8123"
    )
    token: SecretStr = NO_SECRET
