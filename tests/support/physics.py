"""The physical relations between the values of one moment."""

from collections.abc import Iterator, Mapping

from esquirell.domain.quantity import split_key

_GRID_V = (80, 480)
_GRID_HZ = (45, 65)
_PHASES = ("a", "b", "c")
_INPUTS = ("pv", "battery", "dc")
_SUMMED = ("active_power", "energy_import", "energy_export")
# Values of one answer are of slightly different moments, and rounded.
_NEAR = 0.12
_NOISE_W = 12.0
_NOISE_KWH = 0.2


def objections(values: Mapping[str, float]) -> list[str]:
    """Return what can't be true of these values together, one sentence each."""
    return [*_ranges(values), *_powers(values), *_sums(values)]


def _ranges(values: Mapping[str, float]) -> Iterator[str]:
    for key, value in values.items():
        quantity, suffix = split_key(key)
        if quantity.key == "voltage" and not suffix.startswith(_INPUTS):
            if value and not _GRID_V[0] <= value <= _GRID_V[1]:
                yield f"{key} of {value:g} V is of no grid"
        elif quantity.key == "frequency" and value and not _GRID_HZ[0] <= value <= _GRID_HZ[1]:
            yield f"{key} of {value:g} Hz is of no grid"


def _powers(values: Mapping[str, float]) -> Iterator[str]:
    for key, power in values.items():
        quantity, suffix = split_key(key)
        if quantity.key != "active_power":
            continue
        volts = _of(values, "voltage", suffix) or values.get("voltage")
        amperes, factor = _of(values, "current", suffix), _of(values, "power_factor", suffix)
        if not volts or amperes is None:
            continue
        apparent = volts * abs(amperes)
        if abs(power) > (1 + _NEAR) * apparent + _NOISE_W:
            yield f"{key} of {power:g} W is more than {volts:g} V x {amperes:g} A"
        elif factor and abs(abs(power) - apparent * abs(factor)) > _NEAR * apparent + _NOISE_W:
            yield f"{key} of {power:g} W is not {volts:g} V x {amperes:g} A x {factor:g}"


def _sums(values: Mapping[str, float]) -> Iterator[str]:
    for quantity in _SUMMED:
        total = values.get(quantity)
        parts = [values.get(f"{quantity}_{name}") for name in _PHASES]
        if total is None or None in parts[:2]:
            continue
        added = sum(part or 0 for part in parts)
        noise = _NOISE_W if quantity == "active_power" else _NOISE_KWH
        if abs(added - total) > _NEAR * abs(total) + noise:
            yield f"the phases of {quantity} add up to {added:g}, not {total:g}"


def _of(values: Mapping[str, float], quantity: str, suffix: str) -> float | None:
    return values.get(f"{quantity}_{suffix}" if suffix else quantity)
