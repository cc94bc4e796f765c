"""Adding a meter, or replacing its device: choose it, enter its key, read it, save it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from tornado.web import HTTPError

from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.profiles import titles
from esquirell.services.commands import failure
from esquirell.settings.slugs import unique_slug
from esquirell.web.candidates import Candidate
from esquirell.web.command_page import CommandPage, SubmittedCommand, as_number
from esquirell.web.handler import status_of
from esquirell.web.pages.finding import FindingPage

if TYPE_CHECKING:
    from esquirell.settings.devices import SkippedDevice

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


class AddMeter(FindingPage):
    """The steps of adding a meter on one page; with `exchange`, of replacing its device."""

    page = "meters"

    async def get(self) -> None:
        """Show the ways to find a meter, and the form of the chosen device."""
        await self.show(self.get_query_argument("device", ""))

    async def post(self) -> None:
        """Handle the next step."""
        steps: dict[str, Callable[[], Any]] = {
            **self.ways,
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
        found = next((meter for meter in runtime.meters() if meter.name == name), None)
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
        await self.show(device_id, SubmittedCommand(place, command, {}, failure(error)))

    async def _try(self) -> None:
        fields = self._fields()
        device_id = str(fields.get("device_id", ""))
        self._remember(device_id, fields)
        submitted = await self.submit("meter/try", {"name": self._name(fields), **fields})
        await self.show(
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
        await self.show(
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
        return unique_slug(label, {meter.name for meter in self.site.runtime.meters()})

    def _fields(self) -> dict[str, Any]:
        """Return what was typed, and of the device that was chosen what is known besides."""
        chosen = self.site.candidates.of(self.owner).get(self.named("device"))
        known = dict(chosen.fields) if chosen else {}
        known.pop("name", None)
        left_out = OF_THE_METER if self.exchanged else ()
        fields = {**known, **typed_fields(self)}
        return {key: field for key, field in fields.items() if field != "" and key not in left_out}

    async def show(
        self,
        device_id: str = "",
        submitted: SubmittedCommand | None = None,
        found: int | None = None,
        left_out: "Sequence[SkippedDevice]" = (),
    ) -> None:
        """Show the found devices, and the form of the chosen one."""
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
            qr_code=self.qr_code,
            profiles=profiles(chosen.shown("profile") if chosen else ""),
            protocols=PROTOCOLS,
            meters=runtime.meters(),
            direction=direction(self._invert(chosen)),
            suggested=self._suggested(chosen.shown("label") if chosen else ""),
        )


def _rank(candidate: Candidate) -> tuple[bool, bool, str]:
    return not candidate.measures, not candidate.product, candidate.title.lower()


def profiles(current: str) -> list[tuple[str, str]]:
    """Return the names and titles of the profiles to choose from.

    These are the shipped ones, and the one that is chosen, as it may be a user's own.
    """
    own = {} if current in {"", "auto", *titles()} else {current: current}
    return sorted((titles() | own).items(), key=lambda profile: profile[1].lower())


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
