"""Packed frames: several quantities of a phase or channel in one datapoint.

The layouts are those of Tuya's products over the LAN, as base64 or hex text, and the cloud's JSON
form of some of them. Nothing here raises anything but DecodeError.
"""

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import text
from esquirell.domain.frames.codecs import CODECS, codec_of
from esquirell.domain.frames.octets import octets
from esquirell.domain.frames.phase import Fields, misread_v02
from esquirell.domain.record import record

_HEX_CODE = "phase_s"
MISREAD = (
    "the cloud misread a frame with a header: voltage and current were recovered, the power is lost"
)
AMBIGUOUS = "its sign can be read in several ways, so the power is left out"


@record
class Hint:
    """What is known about the datapoint of a frame."""

    code: str = ""
    inverter: bool = False


NO_HINT = Hint()


@record
class Unpacked:
    """The values of a frame by quantity (and phase, if there are several), and warnings.

    Values are in canonical units; empty for an empty frame.
    """

    fields: Fields
    note: str = ""


def unpack(name: str, raw: object, hint: Hint = NO_HINT) -> Unpacked:
    """Unpack a frame with the named codec, or with `auto`. Raises DecodeError."""
    if raw in ("", None):
        return Unpacked({})
    if text.looks_like_json(raw):
        return _from_json(raw)
    frame = octets(raw, hexadecimal=hint.code.startswith(_HEX_CODE))
    codec = codec_of(frame, hint.code, inverter=hint.inverter) if name == "auto" else name
    if len(frame) not in CODECS[codec].lengths:
        raise DecodeError(f"a frame of {len(frame)} bytes is not a {codec} frame")
    fields = CODECS[codec].unpack(frame)
    if not set(CODECS[codec].holds) <= fields.keys():
        return Unpacked(fields, AMBIGUOUS)
    return _recovered(fields) if codec == "legacy-8" else Unpacked(fields)


def quantities_of(name: str, suffix: str) -> tuple[str, ...]:
    """Return the quantity keys of a codec's frames under a suffix; for `auto`, of all codecs."""
    holds = CODECS["legacy-8" if name == "auto" else name].holds
    return tuple(with_suffix(key, suffix) for key in holds)


def with_suffix(key: str, suffix: str) -> str:
    """Add the suffix of a datapoint to a field: `voltage_a` for `a`, `voltage_pv1` for `pv`."""
    if not suffix:
        return key
    quantity, _, channel = key.rpartition("_")
    if channel.isdigit():
        return f"{quantity}_{suffix}{channel}"
    return key if key.endswith(("_a", "_b", "_c")) else f"{key}_{suffix}"


def _from_json(raw: object) -> Unpacked:
    fields = text.document(raw)
    if any(name in fields for name in ("L1", "L2", "L3")):
        return Unpacked(text.charger(fields))
    return _recovered(text.phase(fields))


def _recovered(fields: Fields) -> Unpacked:
    """Recover frames whose header was read as their voltage."""
    recovered = misread_v02(fields)
    return Unpacked(fields) if recovered is None else Unpacked(recovered, MISREAD)
