"""Judges readings one after the other: what is believed of the values that a meter sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from esquirell.domain.counters import Counter, follow, taken_over
from esquirell.domain.device import Instrument
from esquirell.domain.doubts import Doubt, corrected, of_check, weigh
from esquirell.domain.integration import Increments, Integral, add, integrate
from esquirell.domain.inversion import invert
from esquirell.domain.plausibility import CHECKS
from esquirell.domain.quantity import is_counter, split_key, with_suffix
from esquirell.domain.reading import Ledger, Reading

ESTIMATED = "estimated"
INCREMENTS = "increments"
# A meter mostly sends the same keys: which of them are counters is cached.
_SHAPES = 256
_HELD_BACK = "fell, or rose by more than can be: it is held back until more readings agree"
_LOST = "of the {hours:.0f} hours before this reading nothing is known: their energy is missing"


@dataclass
class _Bench:
    """A reading while it is judged, with the parts of its next ledger."""

    at: datetime
    values: dict[str, float]
    warnings: list[str]
    raw: dict[str, float] = field(default_factory=dict)
    counters: dict[str, Counter] = field(default_factory=dict)
    integrals: dict[str, Integral] = field(default_factory=dict)
    increments: dict[str, Increments] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    retracted: dict[str, datetime] = field(default_factory=dict)
    begins: set[str] = field(default_factory=set)
    notes: dict[str, object] = field(default_factory=dict)


def judge(
    reading: Reading, ledger: Ledger | None, instrument: Instrument, writer: str = ""
) -> tuple[Reading, Ledger]:
    """Invert and check values, continue the counters, estimate what is not counted.

    Return the believed reading with the ledger for the next one, marked with its `writer`. `ledger`
    is that of the last reading, None if the meter was never read. Raw values that were replaced or
    held back are in `diagnostics["raw_values"]`.
    """
    values, sentences = _turned(reading, instrument)
    bench = _Bench(reading.measured_at, values, [*reading.warnings, *sentences])
    if ledger is not None:
        bench.counters, bench.integrals = dict(ledger.counters), dict(ledger.integrals)
        bench.doubts = dict(ledger.doubts)
        bench.increments = dict(ledger.increments)
    _check(bench)
    _count(bench, instrument.source)
    if not _counts(bench.counters, reading, instrument):
        suffixes = _integrate(bench, _powers(_known(reading, instrument)))
        _estimate(bench, suffixes, instrument.adds)
        _add(bench, reading, instrument.adds)
    return _judged(reading, bench, ledger, writer)


def unjudged(reading: Reading, instrument: Instrument) -> Reading:
    """Return a reading whose ledger is not known yet, with its counters held back."""
    values, sentences = _turned(reading, instrument)
    held = {key: value for key, value in values.items() if is_counter(key)}
    rest = {key: value for key, value in values.items() if key not in held}
    warnings = (*reading.warnings, *sentences)
    return replace(reading, values=rest, diagnostics=_with_raw(reading, held), warnings=warnings)


def _known(reading: Reading, instrument: Instrument) -> set[str]:
    """Return all keys that the meter may send."""
    return {*instrument.keys, *reading.values}


def _turned(reading: Reading, instrument: Instrument) -> tuple[dict[str, float], tuple[str, ...]]:
    if not instrument.invert:
        return dict(reading.values), ()
    return invert(reading.values, instrument.invert, _known(reading, instrument))


def _judged(
    reading: Reading, bench: _Bench, before: Ledger | None, writer: str
) -> tuple[Reading, Ledger]:
    diagnostics = _with_raw(reading, bench.raw) | bench.notes
    confirmed = [doubt.warning for doubt in bench.doubts.values() if doubt.confirmed]
    warnings = tuple(dict.fromkeys([*bench.warnings, *confirmed]))
    ledger = Ledger(
        at=bench.at,
        based_on=before.based_on if before else None,
        writer=writer,
        edition=before.edition if before else 0,
        counters=bench.counters,
        integrals=bench.integrals,
        increments=bench.increments,
        doubts=bench.doubts,
        warnings=warnings,
    )
    judged = replace(
        reading,
        values=bench.values,
        diagnostics=diagnostics,
        warnings=warnings,
        retracted=bench.retracted,
        begins=frozenset(bench.begins),
        ledger=ledger,
    )
    return judged, ledger


def _with_raw(reading: Reading, raw: Mapping[str, float]) -> dict[str, object]:
    return {**reading.diagnostics, **({"raw_values": dict(raw)} if raw else {})}


def _check(bench: _Bench) -> None:
    """Check the values, and correct those that are certainly wrong."""
    for name, check in CHECKS.items():
        verdicts = list(check(bench.values))
        if not bench.doubts and not any(verdict.sentence for verdict in verdicts):
            continue  # nothing is wrong, and nothing was: the usual case
        bench.doubts = weigh(bench.doubts, verdicts)
        fixed = corrected(bench.values, of_check(bench.doubts, name), verdicts)
        bench.doubted |= {verdict.key for verdict in verdicts if verdict.sentence} - fixed.keys()
        bench.raw = {key: bench.values[key] for key in fixed} | bench.raw
        bench.values |= fixed


def _count(bench: _Bench, source: str) -> None:
    """Continue the sums; a counter that is not believed yet is absent."""
    values, counters = bench.values, bench.counters
    for key in _counters(tuple(values)):
        raw, before = values[key], counters.get(key)
        counter, believed = follow(before, raw, bench.at, source)
        if counter is not None:
            counters[key] = counter
        if counter is None or not believed:
            bench.warnings.append(f"{key} {_HELD_BACK}")
            bench.raw[key] = values.pop(key)
            continue
        if (total := counter.total) != raw:
            values[key], bench.raw[key] = total, raw
        if before and before.begins:
            bench.begins.add(key)
        if counter.replaces:
            bench.retracted[key] = counter.replaces


@lru_cache(_SHAPES)
def _counters(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if is_counter(key))


def _counts(counters: Mapping[str, Counter], reading: Reading, instrument: Instrument) -> bool:
    """Whether the device counts energy itself, though maybe not in each answer."""
    for counter in counters.values():
        if counter.source == instrument.source:
            return True
    return any(is_counter(key) for key in _known(reading, instrument))


def _powers(known: Collection[str]) -> list[str]:
    """Return the powers to integrate: the total, else those of the phases or channels.

    Of an inverter's inputs, battery and grid none is known to be the total.
    """
    keys = [key for key in known if split_key(key)[0].key == "active_power"]
    if "active_power" in keys:
        return ["active_power"]
    return [key for key in keys if len(split_key(key)[1]) == 1 or split_key(key)[1].isdecimal()]


def _integrate(bench: _Bench, powers: Collection[str]) -> list[str]:
    """Integrate the believed powers; return their suffixes."""
    suffixes = []
    for key in sorted(powers):
        if key in bench.values and key not in bench.doubted:
            suffix = split_key(key)[1]
            before = bench.integrals.get(suffix)
            if before and (lost_s := before.lost(bench.at)):
                bench.warnings.append(_LOST.format(hours=lost_s / 3600))
            bench.integrals[suffix] = integrate(before, bench.values[key], bench.at)
            suffixes.append(suffix)
    return suffixes


def _estimate(bench: _Bench, suffixes: Collection[str], adds: Collection[str]) -> None:
    """Continue integrals as counters, also after a counter of another kind."""
    for suffix in suffixes:
        integral = bench.integrals[suffix]
        for name, energy in (
            ("energy_import", integral.imported),
            ("energy_export", integral.exported),
        ):
            key = with_suffix(name, suffix)
            if key in bench.increments and key in adds:
                continue  # the device counts it better
            if name == "energy_export" and not energy and key not in bench.counters:
                continue  # most meters never see any
            increments = bench.increments.pop(key, None)
            _continue(bench, key, energy, ESTIMATED, increments.since if increments else energy)


def _add(bench: _Bench, reading: Reading, adds: Collection[str]) -> None:
    """Add the increments that the device reported; before the first one energy is estimated."""
    gaps: dict[str, float] = {}
    for key in adds:
        integral = bench.integrals.get(split_key(key)[1])
        used = integral.imported if integral else 0.0
        before, kwh = bench.increments.get(key), reading.increments.get(key)
        after = add(before, kwh, used, interrupted=reading.interrupted)
        if after is None:
            continue
        bench.increments[key] = after
        gaps[key] = after.gap(used)
        bench.warnings += [after.warning] if after.warning else []
        _continue(bench, key, after.total, INCREMENTS, after.total)
    if gaps:
        bench.notes["energy_gap"] = gaps if len(adds) > 1 else max(gaps.values())


def _continue(bench: _Bench, key: str, energy: float, source: str, base: float) -> None:
    """Continue a counter by energy (kWh) that is summed up here.

    A counter that was summed up differently so far continues with what exceeds `base`.
    """
    before = bench.counters.get(key)
    if before is not None and before.source != source and before.source in (ESTIMATED, INCREMENTS):
        before = taken_over(before, base, bench.at, source)
    counter, believed = follow(before, energy, bench.at, source)
    if counter is not None:
        bench.counters[key] = counter
    bench.notes["energy_source"] = source
    if counter is None or not believed:
        bench.warnings.append(f"{key} {_HELD_BACK}")
        return
    if before and before.begins:
        bench.begins.add(key)
    bench.values[key] = counter.total
