"""Figure 4: from the moment that a reading is due to its message at a subscriber."""

import time

from benchmarks.commands import readings_heard
from benchmarks.devices import devices
from benchmarks.programs import servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import service

METERS = 10
ANSWERS_IN_S = 0.010
ROUNDS_S = (10.0,) * 5
QUICK_ROUNDS_S = (5.0,)
MEDIAN_MS, TAIL_MS = 40.0, 120.0
START_S = 60.0


class Lateness:
    """How many milliseconds late readings, due every second, reach a subscriber."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    def note(self, _meter: str) -> None:
        """Note a reading that has just come."""
        self.late_ms.append(time.time() % 1.0 * 1000)


def measure(run: Run) -> Result:
    """Subscribe, and measure how late the readings of each second are."""
    lateness = Lateness()
    rounds: list[Sample] = []
    with (
        run.scratch() as folder,
        servers(folder) as there,
        devices(METERS, ANSWERS_IN_S) as meters,
        service(folder / "esquirell", there, meters, 1) as ours,
        readings_heard(there.mqtt_port, lateness.note),
    ):
        wait_until(lambda: ours.readings() >= 3 * METERS, START_S)
        for seconds in QUICK_ROUNDS_S if run.quick else ROUNDS_S:
            lateness.late_ms.clear()
            time.sleep(seconds)
            rounds.append(Sample(lateness.late_ms))
            run.say(f"freshness: {rounds[-1].text(0)} ms")
    return _result(rounds)


def _result(rounds: list[Sample]) -> Result:
    result = Result()
    middle = Sample(one.median for one in rounds)
    tail = Sample(one.percentile(0.99) for one in rounds)
    what = "due to MQTT message, 10 meters every second, device answers in 10 ms"
    result.at_most(4, f"{what}, median", middle.median, MEDIAN_MS, "ms", middle.text(0))
    result.at_most(4, f"{what}, 99th percentile", tail.median, TAIL_MS, "ms", tail.text(0))
    return result
