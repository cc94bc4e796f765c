"""Turns evidence from a connection into the failure reasons that users see."""

from dataclasses import dataclass, field
from typing import Literal

from esquirell.domain.errors import MeterError, MeterRejectedError, MeterUnreachableError
from esquirell.domain.hosts import nameless
from esquirell.domain.meter import Meter

SESSION_VERSIONS = ("3.4", "3.5")
"""The protocols that negotiate a session key for each connection."""

Step = Literal["name", "connect", "key", "answer"]


@dataclass
class Evidence:
    """What unexpected frames of a connection reveal.

    `speaks` is the protocol of the first frame; `garbled`: a frame can't be opened with the key;
    `stranger`: the device names another id; `refusal`: its error text.
    """

    speaks: str | None = None
    garbled: bool = False
    stranger: bool = False
    refusal: str = ""


@dataclass(eq=False)
class AttemptError(Exception):
    """A failed attempt to read a device.

    `version` is the protocol it was asked in, `auto` when one after the other was tried in
    vain. `step` is the one that failed: finding the address of a name, the connection, the
    agreement on a session key (protocols 3.4 and 3.5), the answer. `detail` says in the system's
    words why a connection failed. `ended`: the device closed the connection; `evidence`: what its
    frames revealed.
    """

    version: str
    step: Step
    detail: str = ""
    ended: bool = False
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def other_protocol(self) -> str | None:
        """The device's protocol, if it differs from the one used."""
        speaks = self.evidence.speaks
        return speaks if speaks != self.version else None

    @property
    def _agreed(self) -> bool:
        return self.step == "answer" and self.version in SESSION_VERSIONS

    @property
    def wrong_key(self) -> bool:
        """Whether a frame can't be opened with the key; a negotiated key is right."""
        fits = self._agreed or self.evidence.speaks != self.version
        return not fits and (self.evidence.garbled or self.step == "key")

    @property
    def final(self) -> bool:
        """Whether another protocol can't help: no connection, or this one is right."""
        known = self.evidence.stranger or bool(self.evidence.refusal)
        return self.step in ("name", "connect") or self._agreed or self.wrong_key or known


def explain(meter: Meter, seen: AttemptError, *, worked: bool) -> MeterError:
    """Return the reason of a failed read, as certain as the evidence allows.

    `worked`: the same key and protocol have returned data before. Otherwise a device that closes
    the connection during key negotiation is assumed to have another key: devices with protocol
    3.4 or 3.5 do not answer frames signed with a wrong one.
    """
    if seen.step == "name":
        return MeterUnreachableError(
            "unreachable",
            f"{meter.name} can't be reached: {nameless(meter.address, 'its address')}",
        )
    if seen.step == "connect":
        return _unreachable(meter, seen)
    if seen.evidence.stranger:
        return _another_device(meter)
    if seen.other_protocol:
        return wrong_protocol(meter, seen.version, seen.other_protocol)
    if seen.wrong_key or (seen.step == "key" and seen.ended and not worked):
        return _wrong_key(meter) if seen.wrong_key else _no_agreement(meter, seen)
    return held_by_other(meter) if seen.ended and worked else _no_data(meter, seen)


def wrong_protocol(meter: Meter, asked: str, speaks: str) -> MeterRejectedError:
    """Return the error for a meter that speaks another protocol."""
    return MeterRejectedError(
        "wrong_protocol",
        f'{_who(meter)} speaks protocol {speaks}, not {asked}: set protocol = "{speaks}" for it',
    )


def held_by_other(meter: Meter) -> MeterUnreachableError:
    """Return the error for a meter whose only connection another program holds."""
    return MeterUnreachableError(
        "busy",
        f"{_who(meter)} closes the connection at once, as when another program is "
        "connected: close the Tuya app, or the other program that reads it locally",
    )


def being_read(meter: Meter) -> MeterUnreachableError:
    """Return the error for a meter that another process of esquirell is reading."""
    return MeterUnreachableError(
        "busy",
        f"{_who(meter)} is being read by another process or task of esquirell: "
        "try again in a moment, or let only one of them read it",
    )


def stopped(meter: Meter) -> MeterUnreachableError:
    """Return the error for a read that was cancelled because the program is stopping."""
    return MeterUnreachableError(
        "unreachable", f"{_who(meter)} was not read, as esquirell is stopping"
    )


def not_found(meter: Meter, seconds: float, others: int, trouble: str) -> MeterUnreachableError:
    """Return the error for a search without result, with what was heard instead.

    `others` counts the other devices that were heard, `trouble` names the ports that could not
    be opened.
    """
    return MeterUnreachableError(
        "unreachable",
        f"{meter.name} was not found on the LAN by its device_id within {seconds:.0f} s: "
        f"{trouble or _unheard(others)}",
    )


def has_moved(meter: Meter, address: str) -> MeterUnreachableError:
    """Return the error of a meter that announces itself at another address than the given one."""
    return MeterUnreachableError(
        "unreachable",
        f"{_who(meter)} has another address by now, it announces itself at {address}: set address "
        'to that, or to "auto", or have the router give it always the same',
    )


def is_displaced(meter: Meter) -> MeterUnreachableError:
    """Return the error of a meter at whose address another Tuya device announces itself."""
    return MeterUnreachableError(
        "unreachable",
        f"{_who(meter)} was not heard on the LAN, and another Tuya device announces itself at its "
        "address: check that it has power and Wi-Fi, and its device_id if it was exchanged",
    )


def no_lock(meter: Meter, error: OSError) -> MeterUnreachableError:
    """Return the error for an unusable lock file."""
    return MeterUnreachableError(
        "unreachable",
        f"{_who(meter)} can't be read because its lock file {error.filename} can't be opened "
        f"({error.strerror}): set state_dir to a folder that esquirell may write to",
    )


def impossible_key(meter: Meter) -> MeterRejectedError:
    """Return the error for a configured key that can't be a Tuya key."""
    return MeterRejectedError(
        "wrong_key",
        f"{_who(meter)} has a local_key with a character that Tuya keys never contain: "
        "copy its local_key again",
    )


def _unreachable(meter: Meter, seen: AttemptError) -> MeterUnreachableError:
    return MeterUnreachableError(
        "unreachable",
        f"{_who(meter)} can't be reached ({seen.detail}): check that it has power and "
        f"Wi-Fi, and that its address is still {meter.address}",
    )


def _another_device(meter: Meter) -> MeterUnreachableError:
    return MeterUnreachableError(
        "unreachable",
        f"{_who(meter)}: another device answers at this address, with another id: check the "
        "address and the device_id of the meter",
    )


def _wrong_key(meter: Meter) -> MeterRejectedError:
    return MeterRejectedError(
        "wrong_key",
        f"{_who(meter)} does not accept its local_key: take it from the app again (esquirell "
        "meters sync --from-app), as it changes each time the device is paired",
    )


def _no_agreement(meter: Meter, seen: AttemptError) -> MeterRejectedError:
    return MeterRejectedError(
        "wrong_key",
        f"{_who(meter)} refuses the encrypted session, most likely because its local_key is "
        f"wrong: take it from the app again (esquirell meters sync --from-app); if it is right, "
        f"check protocol {seen.version}, or switch the meter off and on again",
    )


def _no_data(meter: Meter, seen: AttemptError) -> MeterUnreachableError:
    if seen.evidence.refusal:
        return MeterUnreachableError(
            "no_data",
            f'{_who(meter)} refuses the query with "{seen.evidence.refusal}":  {_suspects(seen)}',
        )
    manner = "closes the connection without an answer" if seen.ended else "is connected but silent"
    return MeterUnreachableError("no_data", f"{_who(meter)} {manner}: {_suspects(seen)}")


def _suspects(seen: AttemptError) -> str:
    if seen.version == "auto":
        return (
            "check its local_key, and that no other device has its address; if both are right, "
            "set its protocol instead of auto"
        )
    if seen.version in SESSION_VERSIONS:
        return "switch it off and on again; if that does not help, check its local_key"
    return (
        f"check its local_key and that it speaks protocol {seen.version}, "
        "and close the Tuya app if that is open"
    )


def _unheard(others: int) -> str:
    if others:
        return (
            f"other Tuya devices were heard ({others}), so check its device_id, its power and "
            "its Wi-Fi, or set address to its IP address"
        )
    return (
        "no Tuya device was heard at all, so let UDP 6666, 6667 and 7000 through the firewall "
        "(a container needs the network of its host), or set address to its IP address"
    )


def _who(meter: Meter) -> str:
    return f"{meter.name} ({meter.address}:{meter.port})"
