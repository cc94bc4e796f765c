import sqlite3
from contextlib import closing
from pathlib import Path

from support.waiting import eventually

from benchmarks.devices import answer, devices
from benchmarks.programs import servers
from benchmarks.reference import DIVISORS
from benchmarks.service import configuration
from benchmarks.systems import reference
from esquirell.settings import load


def test_a_simulated_meter_sends_the_28_measuring_datapoints() -> None:
    assert set(answer(0.0, 1)) == set(DIVISORS)
    assert len(DIVISORS) == 28


def test_its_counters_rise_and_never_fall() -> None:
    counted = [int(str(answer(float(second), 3)["131"])) for second in range(0, 600, 10)]
    assert counted == sorted(counted)
    assert counted[-1] > counted[0]


def test_the_reference_loop_stores_and_counts_readings_of_real_devices(tmp_path: Path) -> None:
    with servers(tmp_path) as there, devices(2) as meters:
        with reference(tmp_path / "reference", there, meters, 1) as running:
            eventually(lambda: running.readings() >= 4, 30)
            assert running.tree.cpu_s() > 0
        with closing(sqlite3.connect(tmp_path / "reference" / "reference.db")) as database:
            rows = database.execute("SELECT DISTINCT meter, dp135 FROM reading").fetchall()
    assert sorted(rows) == [("m0000", 50.0), ("m0001", 50.0)]


def test_the_benchmarked_configuration_is_valid(tmp_path: Path) -> None:
    with servers(tmp_path) as there, devices(1) as meters:
        file = tmp_path / "esquirell.toml"
        file.write_text(configuration(there, meters, 1), encoding="utf-8")
        file.chmod(0o600)
        settings = load(file)
    assert [meter.address for meter in settings.meters] == [meters[0].address]
