"""Finding the device to add: by a scan, in a list of devices, in the cloud, or through the app."""

import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from esquirell.domain.errors import CommandError, ConfigError
from esquirell.profiles import product_titles
from esquirell.web.candidates import Candidate
from esquirell.web.command_page import CommandPage

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import AppLogin
    from esquirell.settings.devices import SkippedDevice, UploadedDevices

LARGEST_FILE = 1024 * 1024
# Devices announce themselves about every five seconds.
SCAN_S = 8


class FindingPage(CommandPage):
    """The ways to find devices; what they find is shown by the page that builds on them."""

    async def show(
        self, *, found: int | None = None, left_out: "Sequence[SkippedDevice]" = ()
    ) -> None:
        """Show the page, with how many devices were found and which are skipped."""
        raise NotImplementedError

    @property
    def ways(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """The ways to find devices, by the command of their button."""
        return {
            "scan": self._scan,
            "upload": self._upload,
            "cloud": self._cloud,
            "app": self._ask_app,
            "app/confirmed": self._take_from_app,
            "app/again": self._forget_code,
        }

    @property
    def qr_code(self) -> str:
        """The QR code that the app is to scan, as SVG; empty unless one was asked for."""
        login = self.site.app_logins.of(self.owner)
        if login is None:
            return ""
        from esquirell.plots.qr_code import svg  # noqa: PLC0415 - few need it

        return svg(login.qr_text)

    async def _scan(self) -> None:
        found = await self.wait_for(_scanned)
        self.site.candidates.add(self.owner, *found)
        await self.show(found=len(found))

    async def _upload(self) -> None:
        await self._take(await self.wait_for(lambda: sent_devices(self)))

    async def _cloud(self) -> None:
        cloud = self.site.runtime.devices.cloud
        if cloud is None:
            raise ConfigError("no cloud account: set api_key and api_secret under [cloud]")
        from esquirell.settings.devices import read_list  # noqa: PLC0415 - rarely needed

        listed = await self.wait_for(cloud.devices, "accounts")
        await self._take(read_list(json.dumps(listed).encode(), "the cloud"))

    async def _ask_app(self) -> None:
        """Show a QR code for the account that a user code belongs to."""
        from esquirell.runtime.unconfigured import app_login  # noqa: PLC0415 - few need it

        user_code = self.field("user_code").strip()
        if not user_code:
            raise CommandError("invalid_payload", "type the user code first: the app shows it")
        url = self.site.runtime.settings.cloud.app_url
        login = await self.wait_for(lambda: app_login(user_code, url), "accounts")
        self.site.app_logins.put(self.owner, login)
        await self.show()

    async def _take_from_app(self) -> None:
        from esquirell.settings.devices import read_list  # noqa: PLC0415 - few have such a list

        login = self.site.app_logins.take(self.owner)
        if login is None:
            raise CommandError("invalid_payload", "the QR code has expired: show another one")
        # A failure costs the login: Tuya may give it only once.
        listed = await self.wait_for(lambda: _devices_of(login), "accounts")
        if listed is None:
            self.site.app_logins.put(self.owner, login)
            raise CommandError(
                "invalid_payload",
                "the app has not confirmed yet: scan the code, and confirm; or show another code, "
                f"as they expire after five minutes (Tuya says {login.refusal})",
            )
        await self._take(read_list(json.dumps(listed).encode(), "the app"))

    async def _forget_code(self) -> None:
        self.site.app_logins.take(self.owner)
        await self.show()

    async def _take(self, found: "UploadedDevices") -> None:
        """Keep the metering devices of a list; explain why the others are left out."""
        devices = [
            Candidate(device.meter.device_id, device.fields, measures=device.is_described)
            for device in found.devices
        ]
        if not devices and not found.left_out:
            raise ConfigError("the list contains no device")
        self.site.candidates.add(self.owner, *devices)
        await self.show(found=len(devices), left_out=found.left_out)


def _devices_of(login: "AppLogin") -> list[dict[str, Any]] | None:
    """Return the devices of an app account; None until its owner has confirmed."""
    account = login.account()
    if account is None:
        return None
    try:
        return account.devices()
    finally:
        account.log_out()


def sent_devices(page: CommandPage) -> "UploadedDevices":
    """Return the devices of an uploaded devices.json, which stays in memory.

    Raises CommandError and ConfigError.
    """
    from esquirell.settings.devices import read_list  # noqa: PLC0415 - rarely needed

    files = page.request.files.get("devices", [])
    if not files or not files[0].body:
        raise CommandError("invalid_payload", "choose a devices.json first")
    if len(files[0].body) > LARGEST_FILE:
        raise CommandError("too_large", "the file is larger than 1 MiB: choose a list of devices")
    return read_list(files[0].body, "the file")


def _scanned() -> list[Candidate]:
    """Listen for devices on the network. Raises UnavailableError."""
    # Only scans need it.
    from esquirell.runtime.unconfigured import Listener  # noqa: PLC0415 - only scans

    found: dict[str, Candidate] = {}
    with Listener() as listening:
        for heard in listening.listen(SCAN_S, threading.Event()):
            if heard is None:
                continue
            fields: Mapping[str, Any] = {
                "device_id": heard.device_id,
                "address": heard.address,
                "protocol": heard.protocol or "auto",
                "product_id": heard.product_id,
            }
            product = product_titles().get(heard.product_id, "")
            measures = bool(product)
            found[heard.device_id] = Candidate(heard.device_id, fields, product, measures)
        if not found and listening.trouble:
            raise CommandError("unavailable", listening.trouble)
    return list(found.values())
