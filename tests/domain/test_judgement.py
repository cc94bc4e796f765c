import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from support.captures import SERIES

from esquirell import profiles
from esquirell.domain.decoding import decode
from esquirell.domain.device import Instrument
from esquirell.domain.judgement import judge, unjudged
from esquirell.domain.reading import Ledger, Reading, payload

LEDGER = TypeAdapter(Ledger)
START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNTING = Instrument("device", ("active_power", "energy_import"))
PLUG = Instrument("plug", ("voltage", "current", "active_power"))


def kept(ledger: Ledger | None) -> Ledger | None:
    """A ledger as it comes back from the database."""
    return LEDGER.validate_json(LEDGER.dump_json(ledger)) if ledger else None


def judged(
    values: Iterable[Mapping[str, float]],
    instrument: Instrument = COUNTING,
    ledger: Ledger | None = None,
    begin: datetime = START,
) -> Iterator[Reading]:
    for number, one in enumerate(values):
        taken = Reading("main", begin + number * MINUTE, one)
        reading, ledger = judge(taken, kept(ledger), instrument)
        yield replace(reading, ledger=ledger)


def imported(raws: Sequence[float | None], instrument: Instrument = COUNTING) -> list[float | None]:
    values = ({} if raw is None else {"energy_import": raw} for raw in raws)
    return [one.values.get("energy_import") for one in judged(values, instrument)]


def test_a_plausible_reading_is_left_as_it_is() -> None:
    values = {"voltage": 230.0, "active_power": 12.0, "energy_import": 100.0}
    reading = Reading("main", START, values, {"switch": True}, ("odd",))
    result, ledger = judge(reading, None, COUNTING)
    assert replace(result, ledger=None) == reading
    assert ledger.warnings == ("odd",)


def test_a_suspicious_counter_is_null_and_its_raw_value_is_a_diagnostic() -> None:
    *_, last = judged([{"energy_import": 100.0}, {"energy_import": 0.0}])
    shape = payload(last, ("energy_import",))
    assert shape["energy_import"] is None
    held = (
        "energy_import fell, or rose by more than can be: it is held back until more readings agree"
    )
    assert shape["diagnostics"] == {"raw_values": {"energy_import": 0.0}, "warnings": [held]}


def test_a_sum_over_a_reset_names_the_raw_counter() -> None:
    *_, last = judged([{"energy_import": raw} for raw in (100.0, 100.0, 0.1, 0.2, 0.3, 0.4)])
    assert last.values == {"energy_import": 100.4}
    assert last.diagnostics["raw_values"] == {"energy_import": 0.4}


def test_a_first_value_that_was_no_counter_is_retracted() -> None:
    *_, first, last = judged([{"energy_import": raw} for raw in (0.0, 1064.21, 1064.21, 1064.21)])
    assert (first.values, first.retracted) == ({}, {})
    assert last.values == {"energy_import": 1064.21}
    assert last.retracted == {"energy_import": START}
    assert "raw_values" not in last.diagnostics


def test_energy_missing_after_a_long_gap_is_named() -> None:
    old, *_ = judged([{"active_power": 1500.0}], PLUG)
    late = START + timedelta(hours=50)
    (reading,) = judged([{"active_power": 1500.0}], PLUG, old.ledger, late)
    assert reading.values["energy_import"] == 0.0
    assert reading.warnings == (
        "of the 50 hours before this reading nothing is known: their energy is missing",
    )


def test_a_counter_that_is_missing_in_some_answers_continues() -> None:
    assert imported([100.0, None, 100.2, None, 0.0, 100.3]) == [
        100.0,
        None,
        100.2,
        None,
        None,
        100.3,
    ]


def test_an_exchanged_meter_continues_the_sums() -> None:
    *_, old = judged([{"energy_import": 4000.0}])
    new = Instrument("another device", COUNTING.keys)
    *_, last = judged([{"energy_import": 7.0}, {"energy_import": 7.5}], new, old.ledger)
    assert last.values["energy_import"] == 4000.5


def test_a_repeated_wrong_scale_is_corrected_and_said() -> None:
    *_, before, first = judged([{"voltage": 2312.0}] * 5, PLUG)
    assert before.values["voltage"] == 2312.0
    assert before.warnings == ()
    assert first.values["voltage"] == 231.2
    assert first.diagnostics["raw_values"] == {"voltage": 2312.0}
    (warning,) = first.warnings
    assert warning.startswith("voltage is about 10 times too high: it is corrected")
    assert "warnings" in str(payload(first, ())["diagnostics"])


def test_later_checks_see_what_the_first_have_corrected() -> None:
    sound = {"current": 1.0, "active_power": 220.0, "power_factor": 0.95}
    *_, last = judged([{"voltage": 2312.0} | sound] * 8, PLUG)
    assert len(last.warnings) == 1
    assert last.values["voltage"] == 231.2


def test_a_correction_ends_when_the_device_recovers() -> None:
    *_, last = judged([*[{"voltage": 2312.0}] * 6, *[{"voltage": 231.2}] * 6], PLUG)
    assert (last.values["voltage"], last.warnings, last.diagnostics.get("raw_values")) == (
        231.2,
        (),
        None,
    )


def test_a_plug_has_its_energy_estimated() -> None:
    *_, last = judged([{"active_power": 1500.0}] * 61, PLUG)
    assert last.values["energy_import"] == pytest.approx(1.5)
    assert last.diagnostics["energy_source"] == "estimated"
    assert "energy_export" not in last.values


def test_an_estimate_without_a_power_is_null() -> None:
    readings = list(judged([{"active_power": 600.0}, {"voltage": 230.0}], PLUG))
    assert "energy_import" not in readings[-1].values


def test_an_impossible_power_is_not_integrated() -> None:
    sound = {"voltage": 230.0, "current": 5.0, "active_power": 1150.0}
    *_, last = judged([sound, sound | {"active_power": 115_000.0}, sound], PLUG)
    assert last.values["energy_import"] == pytest.approx(1.15 / 30, abs=1e-6)


def test_energy_is_estimated_for_channels_where_there_is_no_total() -> None:
    channels = {"active_power_1": 600.0, "active_power_2": -300.0}
    *_, last = judged([channels] * 11, Instrument("clamps", tuple(channels)))
    assert last.values["energy_import_1"] == pytest.approx(0.1)
    assert last.values["energy_export_2"] == pytest.approx(0.05)
    assert "energy_import" not in last.values


def test_a_meter_with_a_counter_is_not_estimated() -> None:
    *_, last = judged([{"active_power": 600.0}] * 5, COUNTING)
    assert last.values == {"active_power": 600.0}


def test_estimates_and_counters_continue_each_other() -> None:
    *_, old = judged([{"energy_import": 4000.0}])
    *_, plug = judged([{"active_power": 600.0}] * 11, PLUG, old.ledger, START + MINUTE)
    assert plug.values["energy_import"] == pytest.approx(4000.1)
    *_, again = judged([{"energy_import": 12.0}], COUNTING, plug.ledger, START + 20 * MINUTE)
    assert again.values["energy_import"] == pytest.approx(4000.1)


def test_an_inverted_meter_counts_what_it_exports_as_import() -> None:
    turned = Instrument("device", ("active_power", "energy_export"), invert=True)
    (reading,) = judged([{"active_power": -40.0, "energy_export": 7.0}], turned)
    assert reading.values == {"active_power": 40.0, "energy_import": 7.0}


def test_counters_without_history_are_held_back() -> None:
    reading = Reading("main", START, {"active_power": 5.0, "energy_import": 100.0})
    held = unjudged(reading, COUNTING)
    assert held.values == {"active_power": 5.0}
    assert held.diagnostics == {"raw_values": {"energy_import": 100.0}}
    assert held.ledger is None


def test_a_ledger_differs_only_when_more_than_the_time_has_changed() -> None:
    _, first, same, more = judged([{"energy_import": raw} for raw in (1.0, 1.0, 1.0, 1.1)])
    assert first.ledger
    assert same.ledger
    assert more.ledger
    assert not same.ledger.differs(first.ledger)
    assert more.ledger.differs(first.ledger)


def test_two_recorded_hours_are_counted_exactly() -> None:
    profile = profiles.find("owon_pc321")
    rows = [json.loads(line) for line in SERIES.read_text().splitlines()]
    ledger: Ledger | None = None
    readings = []
    for row in rows:
        values = decode(row["dps"], profile).values
        reading = Reading("main", datetime.fromisoformat(row["t"]), values)
        judged_reading, ledger = judge(reading, kept(ledger), Instrument("device", profile.keys))
        readings.append(judged_reading)
    whole = [one for one, row in zip(readings, rows, strict=True) if not row["partial"]]
    (partial,) = (one for one, row in zip(readings, rows, strict=True) if row["partial"])
    assert dict(partial.values) == {"active_power": 367.0}
    assert len(whole) == 119
    for one, row in zip(readings, rows, strict=True):
        if not row["partial"]:
            assert dict(one.values) == decode(row["dps"], profile).values
            assert one.warnings == ()


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["voltage", "current", "active_power", "energy_import"]),
            st.floats(-1e5, 1e5, allow_nan=False),
        ),
        max_size=30,
    ),
    st.sampled_from([COUNTING, PLUG, Instrument("device", (), invert=True)]),
)
def test_whatever_a_meter_says_energies_never_fall(
    values: list[dict[str, float]], instrument: Instrument
) -> None:
    last: dict[str, float] = {}
    for reading in judged(values, instrument):
        for key in ("energy_import", "energy_export"):
            if key in reading.retracted:
                del last[key]
            if key in reading.values:
                assert reading.values[key] >= last.get(key, 0.0)
                last[key] = reading.values[key]


@pytest.mark.parametrize("suffixes", [("a", "b", "c"), ("9", "10")])
def test_without_a_total_the_power_of_each_phase_or_channel_is_summed_up(
    suffixes: tuple[str, ...],
) -> None:
    powers = {f"active_power_{suffix}": 600.0 for suffix in suffixes}
    *_, last = judged([powers] * 3, Instrument("clamps", tuple(powers)))
    ledger = last.ledger
    assert ledger
    # 600 W for two minutes.
    found = {suffix: round(one.imported, 6) for suffix, one in ledger.integrals.items()}
    assert found == dict.fromkeys(suffixes, 0.02)


def test_the_powers_of_an_inverters_inputs_are_not_summed_up() -> None:
    powers = {"active_power_pv": 600.0, "active_power_battery": 200.0}
    *_, last = judged([powers] * 3, Instrument("inverter", tuple(powers)))
    assert not last.ledger or last.ledger.integrals == {}
