"""Units as Home Assistant spells them.

From homeassistant/util/unit_conversion.py of Home Assistant 2026.11.
"""

from esquirell.domain.long_term import Scale

_KELVIN, _FAHRENHEIT = 273.15, 32.0
_KCAL = 3600 / 4.184

_SCALES: dict[str, dict[str | None, Scale]] = {
    "kWh": {
        "mWh": Scale(1e6),
        "Wh": Scale(1e3),
        "kWh": Scale(1),
        "MWh": Scale(1e-3),
        "GWh": Scale(1e-6),
        "TWh": Scale(1e-9),
        "J": Scale(3.6e6),
        "kJ": Scale(3600),
        "MJ": Scale(3.6),
        "GJ": Scale(3.6e-3),
        "cal": Scale(_KCAL * 1e3),
        "kcal": Scale(_KCAL),
        "Mcal": Scale(_KCAL * 1e-3),
        "Gcal": Scale(_KCAL * 1e-6),
    },
    "W": {
        "mW": Scale(1e3),
        "W": Scale(1),
        "kW": Scale(1e-3),
        "MW": Scale(1e-6),
        "GW": Scale(1e-9),
        "TW": Scale(1e-12),
    },
    "V": {
        # The micro sign is Home Assistant's: a Greek letter.
        "\u03bcV": Scale(1e6),
        "mV": Scale(1e3),
        "V": Scale(1),
        "kV": Scale(1e-3),
        "MV": Scale(1e-6),
    },
    "A": {"\u03bcA": Scale(1e6), "mA": Scale(1e3), "A": Scale(1)},
    "VA": {"mVA": Scale(1e3), "VA": Scale(1), "kVA": Scale(1e-3)},
    "var": {"mvar": Scale(1e3), "var": Scale(1), "kvar": Scale(1e-3)},
    "Hz": {"Hz": Scale(1), "kHz": Scale(1e-3), "MHz": Scale(1e-6), "GHz": Scale(1e-9)},
    "°C": {"°C": Scale(1), "K": Scale(1, _KELVIN), "°F": Scale(1.8, _FAHRENHEIT)},
    "": {None: Scale(1), "": Scale(1), "%": Scale(100)},
}


def scale_of(canonical: str, unit: str | None) -> Scale | None:
    """Return how values of a canonical unit convert to `unit`; None if they can't."""
    if canonical == unit:
        return Scale(1)
    return _SCALES.get(canonical, {}).get(unit)
