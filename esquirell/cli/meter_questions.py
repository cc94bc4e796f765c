"""The questions about meters that `esquirell init` asks, each answer checked at once."""

import sys
from collections.abc import Callable, Collection, Container, Sequence
from typing import TYPE_CHECKING, get_args

import click
from pydantic import SecretStr

from esquirell.cli import guide
from esquirell.cli.call import required
from esquirell.cli.meter_names import unknown
from esquirell.cli.output import say
from esquirell.domain.hosts import check_peer
from esquirell.domain.meter import (
    LOCAL_KEY_LENGTH,
    Meter,
    ProtocolVersion,
    as_pasted,
    key_as_pasted,
)
from esquirell.domain.nearest import similar
from esquirell.profiles import shipped
from esquirell.settings.slugs import name_and_label, slug

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Announcement

LISTED = 12
_PROTOCOLS = get_args(ProtocolVersion)
_LONGEST_ID = 64
SHOWN_AS = "It is shown as {label}, and called {name} in commands and MQTT topics"


def ask_meters() -> tuple[Meter, ...]:
    """Ask for one meter after another; in a terminal each is also read once."""
    meters = [_ask_meter(())]
    while click.confirm("Another meter?", default=False):
        meters.append(_ask_meter([meter.name for meter in meters]))
    return tuple(meters)


def ask_upstream(meters: tuple[Meter, ...]) -> tuple[Meter, ...]:
    """Ask which meter measures what the others measure, too: else a house counts it twice."""
    names = [meter.name for meter in meters]
    if len(names) < 2:  # noqa: PLR2004 - one alone is behind nothing
        return meters
    if not sys.stdin.isatty():
        say('Set upstream = "NAME" for those behind another meter: a house would count them twice')
        return meters
    listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    say(f"Which one measures the whole house, including the others: {listed}?")

    def one_of_them(text: str) -> str:
        if text and text not in names:
            raise click.UsageError(unknown(text, names))
        return text

    main = click.prompt(
        "Its name (empty: none of them)", "", value_proc=one_of_them, show_default=False
    )
    return tuple(
        meter if meter.name == main else meter.model_copy(update={"upstream": main})
        for meter in meters
    )


def _ask_meter(taken: Container[str]) -> Meter:
    found = _ask_device()
    name, label = ask_name(taken, None if "main" in taken else "main")
    meter = found.model_copy(update={"name": name, "label": label})
    return read_once([meter])[0] if sys.stdin.isatty() else meter


def _ask_device() -> Meter:
    """Ask for a device, found or typed, and how to read it; its name comes later."""
    if not sys.stdin.isatty():
        return _ask_rest(required("Device id", _device_id))
    while True:
        device_id = click.prompt(
            "Device id (empty: search the network)", "", value_proc=_any_id, show_default=False
        )
        if device_id:
            return _ask_rest(device_id)
        if found := guide.choose():
            return _ask_rest(found.device_id, found)


def read_once(meters: Sequence[Meter], undescribed: Collection[str] = ()) -> tuple[Meter, ...]:
    """Read meters; where one does not answer, ask for what its read depends on, and try again.

    Those of `undescribed`, by name, that answer without a measurement are left out, and if wanted
    those that do not answer.
    """
    tried = guide.try_out(meters)
    plain = [
        meter for meter in meters if meter.name in tried.valueless and meter.name in undescribed
    ]
    for meter in plain:
        say(f"{meter.title}: left out, nothing in its answer is known as a measurement")
    silent = _unwanted([meter for meter in tried.failed if meter.name in undescribed])
    for meter in silent:
        say(f"{meter.title}: left out, as it could not be read")
    return tuple(
        _corrected(meter) if meter in tried.failed else tried.settled(meter)
        for meter in meters
        if meter not in plain and meter not in silent
    )


def _unwanted(silent: Sequence[Meter]) -> Sequence[Meter]:
    """Return the devices to leave out, as it is unknown whether they measure.

    A house has many devices that do not answer, such as those with batteries: several are not
    asked about one by one.
    """
    several = len(silent) > 1
    question = (
        f"{len(silent)} devices could not be read. Change the answers for each (otherwise they are "
        "left out)?"
    )
    return silent if several and not click.confirm(question, default=False) else ()


def _corrected(meter: Meter) -> Meter:
    while click.confirm(f"Change the answers for {meter.title}?", default=True):
        meter = _ask_again(meter)
        tried = guide.try_out([meter])
        if not tried.failed:
            return tried.settled(meter)
    return meter


def _ask_again(meter: Meter) -> Meter:
    """Ask again for what a read depends on; an empty key keeps the one before."""
    device_id = click.prompt("Device id", meter.device_id, value_proc=_device_id)
    address = click.prompt("Address on your network", meter.address, value_proc=checked_host)
    key = ask_secret("Local key (empty: keep it)", lambda text: text and _local_key(text))
    protocol = click.prompt("Protocol", meter.protocol, value_proc=_protocol)
    changes = {"device_id": device_id, "address": address, "protocol": protocol}
    return meter.model_copy(update=changes | ({"local_key": SecretStr(key)} if key else {}))


def _ask_rest(device_id: str, found: "Announcement | None" = None) -> Meter:
    """Ask for the rest, with what a search has found as the defaults."""
    heard = found.address if found else "auto"
    address = click.prompt("Address on your network", heard, value_proc=checked_host)
    key = guide.known_key(device_id) if sys.stdin.isatty() else None
    protocol = (found and found.protocol) or "auto"
    product_id = found.product_id if found else ""
    return Meter(
        name="new",
        device_id=device_id,
        address=address,
        local_key=SecretStr(key or ask_secret("Local key", _local_key)),
        protocol=click.prompt("Protocol", default=protocol, value_proc=_protocol),
        profile=_ask_profile(),
        product_id=product_id,
    )


def _protocol(text: str) -> str:
    """Return a protocol, also of `v3.4`; what is refused may be a key, and is not shown."""
    protocol = text.strip().lower().removeprefix("v")
    if protocol not in _PROTOCOLS:
        raise click.UsageError(f"answer one of {', '.join(_PROTOCOLS)}; auto finds it out")
    return protocol


def ask_name(taken: Container[str], proposed: str | None) -> tuple[str, str]:
    """Ask for the name of a meter; return it, and the label if something else was typed."""

    def free(text: str) -> str:
        if not slug(text):
            raise click.UsageError("a name needs a letter from a to z, or a digit")
        if slug(text) in taken:
            raise click.UsageError("another meter has this name")
        return text

    name, label = name_and_label(
        click.prompt("Meter name", proposed or "", value_proc=free, show_default=bool(proposed))
    )
    if label:
        say(SHOWN_AS.format(label=label, name=name))
    return name, label


def _ask_profile() -> str:
    known = ["auto", *shipped()]

    def one_of_ours(text: str) -> str:
        if text not in known:
            meant = similar(text, known)
            hint = f"did you mean {meant!r}?" if meant else "auto detects it"
            raise click.UsageError(f"no profile has this name; {hint}")
        return text

    say("Product: auto goes by what the meter answers; esquirell profiles list shows all")
    return click.prompt("Product", default="auto", value_proc=one_of_ours)


def ask_secret(text: str, check: Callable[[str], str]) -> str:
    """Ask for what the terminal must not show; `check` raises UsageError to ask again."""
    # Piped answers are not shown anyway, and hiding them would ask the terminal instead.
    return required(text, check, hide_input=sys.stdin.isatty())


def _any_id(text: str) -> str:
    return _device_id(text) if text.strip() else ""


def checked_host(text: str) -> str:
    """Return a host or an address; raise UsageError, so that it is asked for again."""
    try:
        return check_peer(text)
    except ValueError as error:
        raise click.UsageError(f"it {error}") from error


def _device_id(text: str) -> str:
    device_id = as_pasted(text)
    if len(device_id) not in range(1, _LONGEST_ID + 1):
        raise click.UsageError(f"a device id has 1 to {_LONGEST_ID} characters")
    if any(map(str.isspace, device_id)):
        raise click.UsageError("a device id has no blanks: copy it again")
    return device_id


def _local_key(text: str) -> str:
    key = key_as_pasted(text)
    if len(key) != LOCAL_KEY_LENGTH:
        raise click.UsageError(
            f"a local key has {LOCAL_KEY_LENGTH} characters, this one has {len(key)}"
        )
    return key
