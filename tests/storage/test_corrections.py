from datetime import UTC, datetime, timedelta

import pytest
from support.statistics import WARSAW, Workshop

from esquirell.domain.correction import Span
from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Statistic
from esquirell.storage.corrections import undo_log
from esquirell.storage.corrections.store import EVER, Corrections
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import forget

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)  # in Warsaw

Everything = tuple[list[Reading], dict[str, list[Statistic]]]


class Archive(Workshop):
    """Three hours of minutes, and who corrects them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.corrections = Corrections(database, Calendar(WARSAW), lambda: self.now)
        self.put(*(self.minute(number) for number in range(180)))
        self.rollup()

    @staticmethod
    def minute(number: int) -> tuple[datetime, dict[str, float]]:
        values = {
            "energy_import": 100 + number / 100,
            "energy_export_1": 7 + number / 200,
            "active_power": 500.0 + number % 10,
        }
        return MIDNIGHT + number * MINUTE, values

    def remove(self, since: int, until: int, *, dry_run: bool = False) -> int:
        span = Span("main", MIDNIGHT + since * MINUTE, MIDNIGHT + until * MINUTE)
        return self.corrections.remove(span, dry_run=dry_run).readings

    def state(self) -> Everything:
        self.rollup()
        found = list(self.readings.query(None, *EVER))
        everything = self.everything()
        assert everything == self.from_scratch()
        return found, everything

    def energy(self) -> float:
        return sum(filter(None, self.values("hour", "energy_import")))


@pytest.fixture
def archive(database: Database, monkeypatch: pytest.MonkeyPatch) -> Archive:
    # So that the rows of these tests come in several pages.
    monkeypatch.setattr(undo_log, "PAGE", 7)
    return Archive(database)


@pytest.mark.parametrize("span", [(60, 120), (0, 60), (120, 180), (0, 180), (30, 31), (59, 121)])
def test_removed_readings_can_be_restored_and_statistics_follow(
    archive: Archive, span: tuple[int, int]
) -> None:
    before = archive.state()
    assert archive.remove(*span) == span[1] - span[0]
    readings, _ = archive.state()
    assert len(readings) == 180 - (span[1] - span[0])
    assert archive.corrections.undo("main", ["remove"]).readings == span[1] - span[0]
    assert archive.state() == before


def test_energy_of_removed_readings_is_spread(archive: Archive) -> None:
    archive.remove(60, 120)
    archive.rollup()
    assert archive.energy() == pytest.approx(1.79)
    assert [hour.estimated for hour in archive.found("hour")] == [False, True, False]
    archive.remove(0, 60)
    archive.rollup()
    assert archive.energy() == pytest.approx(0.59)


def test_a_dry_run_leaves_nothing(archive: Archive) -> None:
    before = archive.state()
    span = Span("main", MIDNIGHT, MIDNIGHT + HOUR)
    found = archive.corrections.remove(span, dry_run=True)
    assert found.sums == {
        "energy_import": (100.0, 100.59),
        "energy_export_1": (7.0, 7.295),
    }
    moved = archive.corrections.restamp(span, lambda first: first - HOUR, dry_run=True)
    assert (moved.first, moved.last, moved.to) == (
        MIDNIGHT,
        MIDNIGHT + 59 * MINUTE,
        MIDNIGHT - HOUR,
    )
    assert archive.state() == before
    with pytest.raises(EsquirellError, match="nothing to undo for main"):
        archive.corrections.undo("main", ["remove", "restamp"])
    archive.remove(0, 60)
    assert archive.corrections.undo("main", ["remove"], dry_run=True).readings == 60
    assert len(archive.state()[0]) == 120


@pytest.mark.parametrize("shift", [-24 * HOUR, timedelta(days=400), 5 * MINUTE, -5 * MINUTE])
def test_readings_are_put_at_another_time_and_back(archive: Archive, shift: timedelta) -> None:
    archive.remove(0, 60)
    archive.remove(120, 180)
    before = archive.state()
    span = Span("main", *EVER)
    done = archive.corrections.restamp(span, lambda first: first + shift)
    assert (done.first, done.to) == (MIDNIGHT + HOUR, MIDNIGHT + HOUR + shift)
    archive.now += timedelta(days=500)
    readings, _ = archive.state()
    assert [one.measured_at for one in readings] == [one.measured_at + shift for one in before[0]]
    assert [one.values for one in readings] == [one.values for one in before[0]]
    assert archive.energy() == pytest.approx(0.59)
    archive.corrections.undo("main", ["restamp"])
    assert archive.state() == before


@pytest.mark.parametrize("shift", [-24 * HOUR, 24 * HOUR])
def test_an_hour_among_others_is_put_on_another_day_and_back(
    sqlite: Database, shift: timedelta
) -> None:
    archive = Archive(sqlite)
    archive.now += timedelta(days=30)
    before = archive.state()
    span = Span("main", MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)
    archive.corrections.restamp(span, lambda first: first + shift)
    assert archive.state() != before
    archive.corrections.undo("main", ["restamp"])
    assert archive.state() == before


def test_where_other_readings_are_nothing_is_put(archive: Archive) -> None:
    before = archive.state()
    span = Span("main", MIDNIGHT, MIDNIGHT + HOUR)
    with pytest.raises(
        CommandError, match="has a reading at 2026-11-22 00:00:00 UTC: choose another time"
    ):
        archive.corrections.restamp(span, lambda first: first + 59 * MINUTE)
    assert archive.state() == before


def test_corrections_are_undone_one_after_the_other(archive: Archive) -> None:
    before = archive.state()
    archive.remove(60, 120)
    between = archive.state()
    archive.remove(10, 20)
    archive.corrections.undo("main", ["remove"])
    assert archive.state() == between
    archive.corrections.undo("main", ["remove"])
    assert archive.state() == before


def test_rows_of_a_wrong_year_go_with_all_that_they_made(archive: Archive) -> None:
    before = archive.state()
    year = datetime(1971, 1, 1, tzinfo=UTC)
    archive.put(*((year + n * MINUTE, {"energy_import": 90.0 + n}) for n in range(3)))
    archive.rollup()
    assert len(archive.found("hour")) > 8000
    span = Span("main", EVER[0], datetime(2020, 1, 1, tzinfo=UTC))
    assert archive.corrections.remove(span).readings == 3
    assert archive.state() == before


def test_pruned_hours_are_removed_and_restored_unchanged(archive: Archive) -> None:
    archive.put((MIDNIGHT + 4 * HOUR, {"energy_import": 102.0}))
    archive.rollup()
    archive.now = MIDNIGHT + timedelta(days=9)
    archive.prune()
    before = archive.everything()
    assert before["hour"][1].readings == 60
    assert archive.remove(60, 120) == 2
    archive.rollup()
    assert archive.found("hour")[1].readings == 0
    archive.corrections.undo("main", ["remove"])
    archive.rollup()
    assert archive.everything() == before


def test_readings_of_the_future_are_set_aside_and_others_stay(archive: Archive) -> None:
    later = MIDNIGHT + timedelta(days=3650)
    archive.put((later, {"energy_import": 102.0}))
    archive.readings.add([Reading("garage", later, {"voltage": 230.0})], {})
    assert archive.corrections.set_future_aside(MIDNIGHT + 3 * HOUR) == {"main": 1, "garage": 1}
    assert archive.readings.counts() == {"garage": 0, "main": 180}
    assert archive.corrections.set_future_aside(MIDNIGHT + 3 * HOUR) == {}
    assert archive.corrections.undo("garage", ["remove", "future"]).first == later


def test_an_unknown_meter_has_nothing_to_correct(archive: Archive) -> None:
    with pytest.raises(CommandError, match="nothing is stored for attic; known: main"):
        archive.corrections.remove(Span("attic", *EVER))
    with pytest.raises(CommandError, match="nothing is stored for attic"):
        archive.corrections.forget_offsets("attic")


def test_a_span_without_readings_changes_nothing(archive: Archive) -> None:
    before = archive.state()
    assert archive.remove(500, 600) == 0
    span = Span("main", MIDNIGHT + 9 * HOUR, MIDNIGHT + 10 * HOUR)
    assert archive.corrections.restamp(span, lambda first: first).is_empty
    assert archive.state() == before


def test_what_is_kept_of_one_meter_outlives_another_that_is_forgotten(archive: Archive) -> None:
    later = MIDNIGHT + timedelta(days=3650)
    archive.readings.add([Reading("garage", later, {"voltage": 230.0})], {})
    archive.corrections.set_future_aside(MIDNIGHT + 3 * HOUR)
    before = archive.state()
    assert archive.remove(60, 120) == 60
    forget(archive.database, "garage")
    archive.corrections.undo("main", ["remove"])
    assert archive.state() == before
