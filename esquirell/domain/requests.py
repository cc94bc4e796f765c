"""The payload models of commands; services/command_table.py assigns them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from esquirell.domain.device import Device
from esquirell.domain.meter import NextCounter, ProtocolVersion, Slug
from esquirell.domain.numbers import NoTruth, WholeNumber
from esquirell.domain.schedule import Crontab, Schedule, Seconds, Zone

NAME_LIMIT = 64

Transaction = Annotated[str | int | float | None, NoTruth]
# Closer to the limits of the calendar local times can't be computed.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))
]
Level = Literal["debug", "info", "warning", "error"]


class Payload(BaseModel):
    """The fields that every command may have; `transaction` is repeated in the answer."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    transaction: Annotated[Transaction, Field(description="comes back with the answer")] = None


class EmptyPayload(Payload):
    """No fields are needed."""


Reference = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


class Meters(Payload):
    """The meters to read; without `meters`, all."""

    meters: tuple[Reference, ...] | None = None


class FetchArguments(BaseModel):
    """The arguments of the task that reads meters."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    meters: tuple[Slug, ...] | None = None


class RollupArguments(FetchArguments):
    """The arguments of the task that computes statistics; `since`: recompute from then on."""

    since: Moment | None = None


class BackfillArguments(FetchArguments):
    """The arguments of the task that fills holes in Home Assistant's statistics.

    Outages that begin from `since` until just before `until`; with `dry_run` nothing is written.
    """

    since: Moment | None = None
    until: Moment | None = None
    dry_run: bool = False


class Backfill(BackfillArguments, Payload):
    """Which holes in Home Assistant's statistics to fill; all by default."""


class LogLevel(Payload):
    """How much is logged from now on."""

    level: Level


class NamePayload(Payload):
    """The name of the meter or schedule."""

    name: Reference


class NewSchedule(Schedule, Payload):
    """A schedule to add."""


class ScheduleChange(NamePayload):
    """The fields of a schedule to change; the others stay."""

    every: Seconds | None = None
    cron: Crontab | None = None
    timezone: Zone | None = None
    meters: tuple[Slug, ...] | None = None
    # Factories: a default value would appear in the JSON schema, but absent fields stay unchanged.
    args: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = Field(default_factory=lambda: True)
    expires: Seconds | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "ScheduleChange":
        if self.every is not None and self.cron is not None:
            raise ValueError("give either every (seconds) or cron (five fields), not both")
        return self

    @property
    def fields(self) -> dict[str, Any]:
        """The fields in the payload, null included where it has a meaning."""
        named = self.model_dump(mode="json", exclude_unset=True, exclude={"name", "transaction"})
        meaningful = ("meters", "timezone", "expires")
        return {
            key: value for key, value in named.items() if value is not None or key in meaningful
        }


class TaskCall(Payload):
    """A task to run and its arguments."""

    task: Annotated[str, Field(min_length=1, max_length=200)]
    args: dict[str, Any] = Field(default_factory=dict)


_NO_SETTINGS = {"transaction", "mapping", "category"}


class MeterFields(Payload):
    """The settings of a meter added at run time; absent ones stay as they are."""

    device_id: str | None = None
    local_key: SecretStr | None = None
    address: str | None = None
    port: WholeNumber | None = None
    protocol: ProtocolVersion | None = None
    label: str | None = None
    area: str | None = None
    profile: str | None = None
    product_id: str | None = None
    gateway: str | None = None
    cid: str | None = None
    transport: Literal["local", "cloud"] | None = None
    invert: bool | tuple[Literal["a", "b", "c"], ...] | None = None
    publish_every: WholeNumber | None = None
    push: bool | Literal["auto"] | None = None
    store_every: WholeNumber | None = None
    enabled: bool | None = None
    upstream: str | None = None
    queue: str | None = None
    mapping: Annotated[
        dict[str, Any] | None, Field(description="its datapoints, as a devices.json has them")
    ] = None
    category: Annotated[str, Field(description="Tuya's category, as zndb")] = ""

    @property
    def device(self) -> Device | None:
        """What is known of the device besides its settings, if anything."""
        if self.mapping is None:
            return None
        return Device(self.product_id or "", self.category, "", self.mapping)

    @property
    def table(self) -> dict[str, Any]:
        """The settings in the payload in the form of a `[[meters]]` table, secrets included."""
        named = self.model_dump(include=set(MeterFields.model_fields) - _NO_SETTINGS)
        found = {key: value for key, value in named.items() if value is not None}
        if self.local_key is not None:
            found["local_key"] = self.local_key.get_secret_value()
        return found


class MeterTrial(MeterFields):
    """A meter to read once, before it is added under `name`."""

    name: Slug = "new"


class NewMeter(MeterFields):
    """A meter to add, if it answers a test reading; `test` = false adds it unread."""

    name: Slug
    test: bool = True


class MeterChange(MeterFields):
    """The settings of a meter to change; the others stay."""

    name: Reference


class MeterExchange(MeterFields):
    """A replacement for a meter's device; the history continues under the same name."""

    name: Reference
    test: bool = True
    counter: Annotated[
        NextCounter,
        Field(
            description="whether the new device's counter begins anew, or continues as that of the "
            "same device, paired again, does; auto: as its first reading suggests"
        ),
    ] = "auto"


class MeterRemoval(NamePayload):
    """A meter to remove; its history stays unless `forget` is true."""

    forget: bool = False
