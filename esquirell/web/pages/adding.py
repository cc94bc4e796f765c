"""Adding a meter, or replacing its device: find it, choose it, enter its key, read it, save it."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from tornado.web import HTTPError

from esquirell.domain.errors import CommandError, ConfigError, EsquirellError
from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.profiles import shipped, titles
from esquirell.services.commands import failure
from esquirell.settings.slugs import unique_slug
from esquirell.web.candidates import Candidate
from esquirell.web.command_page import CommandPage, SubmittedCommand, as_number
from esquirell.web.handler import status_of

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import AppLogin
    from esquirell.settings.devices import SkippedDevice, UploadedDevices

LARGEST_FILE = 1024 * 1024
# Devices announce themselves about every five seconds.
SCAN_S = 8
PROTOCOLS = get_args(ProtocolVersion)
TEXT_FIELDS = (
    *("device_id", "local_key", "address", "protocol", "profile", "product_id"),
    *("label", "area", "gateway", "cid", "upstream"),
)
NUMBERS = ("port", "publish_every")
# A key is never shown again.
SHOWN_FIELDS = (*(name for name in TEXT_FIELDS if name != "local_key"), *NUMBERS, "invert")
# What a list of devices says of them, too, but is the meter's own where only its device changes.
OF_THE_METER = frozenset({"label", "area", "upstream", "publish_every"})


class AddMeter(CommandPage):
    """The steps of adding a meter on one page; with `exchange`, of replacing its device."""

    page = "meters"

    async def get(self) -> None:
        """Show the ways to find a meter, and the form of the chosen device."""
        await self._show(self.get_query_argument("device", ""))

    async def post(self) -> None:
        """Handle the next step."""
        steps: dict[str, Callable[[], Any]] = {
            "scan": self._scan,
            "upload": self._upload,
            "cloud": self._cloud,
            "app": self._ask_app,
            "app/confirmed": self._take_from_app,
            "app/again": self._forget_code,
            "meter/try": self._try,
            "meter/add": self._add,
            "meter/exchange": self._exchange,
        }
        step = steps.get(self._command)
        try:
            if step is None:
                raise CommandError("unknown_command", "this page has no such command")
            await step()
        except EsquirellError as error:
            await self._refuse(error)

    @property
    def _command(self) -> str:
        """The command of the button that was pressed."""
        saving = "meter/exchange" if self.exchanged else "meter/add"
        return self.command or (saving if self.named("untested") else "")

    @property
    def exchanged(self) -> Meter | None:
        """The meter whose device is exchanged, if any. Raises HTTPError (404)."""
        name = self.get_argument("exchange", "")
        if not name:
            return None
        runtime = self.site.runtime
        found = next((one for one in runtime.meters() if one.name == name), None)
        if found is None or name not in runtime.settings.added:
            raise HTTPError(404)
        return found

    async def _refuse(self, error: EsquirellError) -> None:
        command = self._command
        self.set_status(status_of(error.code) if error.code != "internal" else 422)
        place, device_id = "find", self.named("device")
        if command.startswith("meter/"):
            place = "form"
            # A field that is too long is not shown again.
            with suppress(CommandError):
                typed = typed_texts(self)
                device_id = str(typed.get("device_id", device_id))
                self._remember(device_id, typed)
        await self._show(device_id, SubmittedCommand(place, command, {}, failure(error)))

    async def _scan(self) -> None:
        found = await self.wait_for(_scanned)
        self.site.candidates.add(self.owner, *found)
        await self._show(found=len(found))

    async def _upload(self) -> None:
        await self._take(sent_devices(self))

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
        self.site.app_logins.begin(self.owner, login)
        await self._show()

    async def _take_from_app(self) -> None:
        from esquirell.settings.devices import read_list  # noqa: PLC0415 - few have such a list

        login = self.site.app_logins.take(self.owner)
        if login is None:
            raise CommandError("invalid_payload", "the QR code has expired: show another one")
        # A failure costs the login: Tuya may give it only once.
        listed = await self.wait_for(lambda: _devices_of(login), "accounts")
        if listed is None:
            self.site.app_logins.begin(self.owner, login)
            raise CommandError(
                "invalid_payload",
                "the app has not confirmed yet: scan the code, and confirm; or show another code, "
                f"as they expire after five minutes (Tuya says {login.refusal})",
            )
        await self._take(read_list(json.dumps(listed).encode(), "the app"))

    async def _forget_code(self) -> None:
        self.site.app_logins.take(self.owner)
        await self._show()

    async def _take(self, found: "UploadedDevices") -> None:
        """Keep the metering devices of a list; explain why the others are left out."""
        devices = [
            Candidate(one.meter.device_id, one.fields, measures=True) for one in found.devices
        ]
        if not devices and not found.left_out:
            raise ConfigError("the list contains no device")
        self.site.candidates.add(self.owner, *devices)
        await self._show(found=len(devices), left_out=found.left_out)

    async def _try(self) -> None:
        fields = self._fields()
        device_id = str(fields.get("device_id", ""))
        self._remember(device_id, fields)
        submitted = await self.submit("meter/try", {"name": self._name(fields), **fields})
        await self._show(
            device_id, SubmittedCommand("form", submitted.command, {}, submitted.answer)
        )

    async def _add(self) -> None:
        fields = self._fields()
        name, untested = self._name(fields), bool(self.named("untested"))
        submitted = await self.submit("meter/add", {"name": name, **fields, "test": not untested})
        if submitted.answer.status != "ok":
            await self._ask_again(submitted, fields)
            return
        self.site.candidates.drop(self.owner, str(fields["device_id"]))
        how = "often" if submitted.answer.data["reports_often"] else "1"
        self.redirect(f"{self.visit.base}/meters/{name}?added={how}", status=303)

    async def _exchange(self) -> None:
        meter, fields = self.exchanged, self._fields()
        if meter is None:
            raise CommandError("invalid_payload", "exchange: the meter's name is missing")
        data = {"name": meter.name, **fields, "test": not self.named("untested")}
        counter = self.field("counter")
        submitted = await self.submit(
            "meter/exchange", data | ({"counter": counter} if counter else {})
        )
        if submitted.answer.status != "ok":
            await self._ask_again(submitted, fields)
            return
        self.site.candidates.drop(self.owner, str(fields["device_id"]))
        self.redirect(f"{self.visit.base}/meters/{meter.name}?exchanged=1", status=303)

    async def _ask_again(self, submitted: SubmittedCommand, fields: Mapping[str, Any]) -> None:
        """Show the form again with its values, and why it was refused."""
        device_id = str(fields.get("device_id", ""))
        self._remember(device_id, fields)
        await self._show(
            device_id, SubmittedCommand("form", submitted.command, {}, submitted.answer)
        )

    def _remember(self, device_id: str, fields: Mapping[str, Any]) -> None:
        """Keep the values of the form, including the key, which is never sent to a browser."""
        if device_id:
            typed = {**fields, "name": self.field("name").strip()}
            self.site.candidates.add(self.owner, Candidate(device_id, typed))

    def _name(self, fields: Mapping[str, Any]) -> str:
        """Return the name from the form, or one derived from the label."""
        if meter := self.exchanged:
            return meter.name
        return self.field("name").strip() or self._suggested(str(fields.get("label", "")))

    def _invert(self, chosen: Candidate | None) -> Any:  # noqa: ANN401 - as `direction` takes it
        """Return which clamps are on backwards: as it was typed, or as before an exchange."""
        before = self.exchanged.invert if self.exchanged else False
        return chosen.fields.get("invert", before) if chosen else before

    def _suggested(self, label: str) -> str:
        return unique_slug(label, {one.name for one in self.site.runtime.meters()})

    def _fields(self) -> dict[str, Any]:
        """Return what was typed, and of the device that was chosen what is known besides."""
        chosen = self.site.candidates.of(self.owner).get(self.named("device"))
        known = dict(chosen.fields) if chosen else {}
        known.pop("name", None)
        left_out = OF_THE_METER if self.exchanged else ()
        fields = {**known, **typed_fields(self)}
        return {key: one for key, one in fields.items() if one != "" and key not in left_out}

    async def _show(
        self,
        device_id: str = "",
        submitted: SubmittedCommand | None = None,
        found: int | None = None,
        left_out: "Sequence[SkippedDevice]" = (),
    ) -> None:
        runtime = self.site.runtime
        candidates = self.site.candidates.of(self.owner)
        configured = {meter.device_id: meter.name for meter in runtime.meters()}
        chosen = candidates.get(device_id)
        by_hand = self.get_argument("by_hand", "") != "" or (
            submitted is not None and submitted.place == "form"
        )
        self.render(
            "add.html",
            candidates=sorted(candidates.values(), key=_rank),
            configured=configured,
            chosen=chosen,
            by_hand=by_hand,
            submitted=submitted,
            found=found,
            left_out=left_out,
            exchanged=self.exchanged,
            counter=self.get_argument("counter", "anew"),
            cloud=runtime.settings.cloud.api_key != "",
            qr_code=_qr_code(self.site.app_logins.of(self.owner)),
            profiles=profiles(chosen.shown("profile") if chosen else ""),
            protocols=PROTOCOLS,
            meters=runtime.meters(),
            direction=direction(self._invert(chosen)),
            suggested=self._suggested(chosen.shown("label") if chosen else ""),
        )


def _qr_code(login: "AppLogin | None") -> str:
    if login is None:
        return ""
    from esquirell.plots.qr_code import svg  # noqa: PLC0415 - few need it

    return svg(login.qr_text)


def _devices_of(login: "AppLogin") -> list[dict[str, Any]] | None:
    """Return the devices of an app account; None until its owner has confirmed."""
    account = login.account()
    if account is None:
        return None
    try:
        return account.devices()
    finally:
        account.log_out()


def _rank(candidate: Candidate) -> tuple[bool, bool, str]:
    return candidate.measures is False, not candidate.product, candidate.title.lower()


def profiles(current: str) -> list[tuple[str, str]]:
    """Return the names and titles of the profiles to choose from.

    These are the shipped ones, and the one that is chosen, as it may be a user's own.
    """
    own = {} if current in {"", "auto", *titles()} else {current: current}
    return sorted((titles() | own).items(), key=lambda one: one[1].lower())


def typed_texts(page: CommandPage) -> dict[str, Any]:
    """Return the text settings of a meter from the form. Raises CommandError."""
    typed = {name: page.field(name) for name in TEXT_FIELDS}
    fields = {name: text if name == "local_key" else text.strip() for name, text in typed.items()}
    return {name: text for name, text in fields.items() if text}


def direction(invert: Any) -> str:  # noqa: ANN401 - as configured, or as a form has it
    """Return the choice of a form that says which clamps are on backwards."""
    if isinstance(invert, tuple | list):
        return ",".join(invert)
    return {True: "all", False: "no", "": "no"}.get(invert, str(invert))


def typed_fields(page: CommandPage) -> dict[str, Any]:
    """Return the settings of a meter from the form. Raises CommandError."""
    fields = typed_texts(page)
    if invert := page.named("invert"):
        fields["invert"] = {"all": True, "no": False}.get(invert, tuple(invert.split(",")))
    for name in NUMBERS:
        if value := page.field(name).strip():
            fields[name] = as_number(value, name)
    return fields


def sent_devices(page: CommandPage) -> "UploadedDevices":
    """Return the devices of an uploaded devices.json, which stays in memory.

    Raises CommandError and ConfigError.
    """
    from esquirell.settings.devices import read_list  # noqa: PLC0415 - rarely needed

    files = page.request.files.get("devices", [])
    if not files or not files[0].body:
        raise CommandError("invalid_payload", "choose a devices.json first")
    if len(files[0].body) > LARGEST_FILE:
        raise CommandError("too_large", "the file is larger than 1 MiB: choose a devices.json")
    return read_list(files[0].body, "the file")


def _scanned() -> list[Candidate]:
    """Listen for devices on the network. Raises UnavailableError."""
    # Only scans need it.
    from esquirell.runtime.unconfigured import listener  # noqa: PLC0415

    products = {
        product: profile.title for profile in shipped().values() for product in profile.products
    }
    found: dict[str, Candidate] = {}
    with listener() as listening:
        for heard in listening.listen(SCAN_S, threading.Event()):
            if heard is None:
                continue
            fields: Mapping[str, Any] = {
                "device_id": heard.device_id,
                "address": heard.address,
                "protocol": heard.protocol or "auto",
                "product_id": heard.product_id,
            }
            product = products.get(heard.product_id, "")
            measures = True if product else None
            found[heard.device_id] = Candidate(heard.device_id, fields, product, measures)
        if not found and listening.trouble:
            raise CommandError("unavailable", listening.trouble)
    return list(found.values())
