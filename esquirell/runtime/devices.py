"""The devices: how they are read, and what is known about them."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from esquirell.domain.clock import Clock
from esquirell.domain.device import Device
from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Reading
from esquirell.profiles import Choices
from esquirell.profiles.choices import Announce
from esquirell.runtime.products import VERSION, announced, describe, known_profiles
from esquirell.services.capture import Capture
from esquirell.services.lines import Lines, may_be_held
from esquirell.settings import Settings
from esquirell.tuya.device_files import DEVICES, Addresses, Descriptions
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.lan.loop import Loop
from esquirell.tuya.lan.network import Keep, Listener, Network
from esquirell.tuya.transport import LocalTransport, NoCloud, TuyaTransport
from esquirell.tuya.trial import Trial

if TYPE_CHECKING:
    from esquirell.tuya.cloud.account import RequestCount
    from esquirell.tuya.cloud.cloud import Cloud

# A device drops a silent connection after about half a minute.
KEEP_UP_TO_S = 25
ADDRESSES = "addresses"


class Devices:
    """The transports to the meters, and what their answers mean; built on first use.

    `settings` are those in force, `interval_s` is the interval (s) at which a meter is polled, and
    `listener` is told what meters report. With `lines` this process holds the connections of its
    own meters. `announce` is called when a meter is understood differently than before.
    """

    lines: Lines | None = None

    def __init__(
        self,
        settings: Callable[[], Settings],
        interval_s: Callable[[str], float],
        listener: Callable[[], Listener],
        clock: Clock,
        announce: Announce,
    ) -> None:
        self._settings = settings
        self.interval_s = interval_s
        self._listener = listener
        self._clock = clock
        self._described: dict[str, tuple[Meter, Device]] = {}
        self._announce = announce

    @cached_property
    def transport(self) -> TuyaTransport:
        settings, cloud = self._settings(), self.cloud
        network = Network(
            settings.lock_dir,
            keep=self._keep,
            interval_s=lambda meter: self.interval_s(meter.name),
            finder=Finder(),
            addresses=Addresses(settings.state_dir / ADDRESSES),
            listener=self,
            loop=Loop(),
            learn=self.learn,
        )
        keys = cloud.keys if cloud and settings.cloud.keys else None
        return TuyaTransport(LocalTransport(network), cloud or NoCloud(), keys)

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        self._listener().reported(meter, heard)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Pass on what happened to a connection."""
        self._listener().event(kind, data)

    def learn(self, meter: Meter, product_id: str) -> None:
        """Choose the profile again by the product id that a meter announced, if it helps.

        Meters behind a gateway announce nothing: the product is the gateway's.
        """
        told = meter.cid or meter.product_id or meter.mapping_file
        if not told and announced(self._settings().state_dir).put(meter.device_id, product_id):
            self._described.pop(meter.name, None)
            self.profiles.reconsider(meter)

    @cached_property
    def cloud(self) -> "Cloud | None":
        """The transport through the cloud, if there is an account."""
        return _build_cloud(self._settings(), self._clock)

    @cached_property
    def profiles(self) -> Choices:
        """The meaning of the meters' datapoints."""
        return known_profiles(self._settings, self._announce)

    @cached_property
    def capture(self) -> Capture:
        """The service that takes captures."""
        profiles = self.profiles
        return Capture(self.transport, self.describe, profiles.of, profiles.decode, VERSION)

    def try_out(self, meter: Meter, device: Device | None = None) -> Reading:
        """Read a meter once, whether or not it is configured; nothing is stored.

        `device` is what is known about it. Raises MeterError and ConfigError.
        """
        choices = Choices(
            lambda: self._settings().profiles_dir, lambda one: device or self.describe(one)
        )
        heard = self.transport.read(Question(meter, choices.of(meter).refresh, forced=True))
        decoded = choices.decode(meter, heard.values)
        return Reading(
            meter.name, self._clock(), decoded.values, decoded.diagnostics, decoded.warnings
        )

    def reports_often(self, meter: Meter) -> bool:
        """Listen for some seconds whether a meter that nothing else reads sends reports."""
        if not may_be_held(meter):
            return False
        settings = self._settings()
        with Trial(settings.lock_dir, settings.state_dir / ADDRESSES) as trial:
            try:
                trial.read(Question(meter, forced=True))
            except MeterError:
                return False
            return meter.name in trial.reporting()

    def note(self, device_id: str, device: Device) -> None:
        """Store what is known about a device, beside the cloud's answers."""
        Descriptions(self._settings().state_dir / DEVICES).put(device_id, device)

    def _keep(self, meter: Meter) -> Keep:
        if self.lines is not None and not self.lines.is_mine(meter):
            return "closed"
        if self.lines is not None and may_be_held(meter):
            return "held"
        pace_s = self.interval_s(meter.name)
        return "kept" if meter.enabled and pace_s <= KEEP_UP_TO_S else "closed"

    def requests_spent(self) -> "RequestCount":
        """Return how many requests were sent to the cloud."""
        from esquirell.tuya.cloud.account import RequestCount  # noqa: PLC0415 - few have an account

        return self.cloud.spent() if self.cloud else RequestCount()

    def described(self, meter: Meter) -> Device:
        """Describe the device of a meter as `describe`, once per configuration of it."""
        known = self._described.get(meter.name)
        if known is None or known[0] is not meter:
            known = self._described[meter.name] = (meter, self.describe(meter))
        return known[1]

    def describe(self, meter: Meter) -> Device:
        """Return what is known about the device of a meter. Raises ConfigError."""
        return describe(self._settings().state_dir, meter)


def _build_cloud(settings: Settings, clock: Clock) -> "Cloud | None":
    given = settings.cloud
    if not given.api_key:
        return None
    from esquirell.tuya.cloud.account import Account  # noqa: PLC0415 - few have an account
    from esquirell.tuya.cloud.cloud import Cloud  # noqa: PLC0415

    account = Account(
        given.region,
        given.api_key,
        given.api_secret,
        given.url,
        given.requests_per_day,
        given.requests_per_month,
    )
    return Cloud(account, settings.state_dir, clock)
