"""What users of other programs complain about, from the meter to the database and the broker."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.redis_server import RedisProcess
from support.service import KEY, Service, configuration
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Answer = Mapping[str, object]


def frame(volts: float, milliamperes: int, power: int) -> str:
    parts = (round(volts * 10).to_bytes(2), milliamperes.to_bytes(3), power.to_bytes(3))
    return base64.b64encode(b"".join(parts)).decode()


def breaker(counter: int, phase: str = frame(231.2, 3000, 600)) -> Answer:
    return {"1": counter, "6": phase, "9": 0, "15": 30, "16": True}


CLAMPS = {
    "101": 2805, "102": "REVERSE", "104": "FORWARD", "105": 21_825, "106": 318_151, "107": 35_068,
    "108": 503_362, "109": 0, "110": 74, "111": 4904, "112": 2376, "113": 1584, "114": 9655,
    "115": 19_020, "121": 95, "130": 821_513, "131": 35_068,
}  # fmt: skip
PHASES = {"1": 54_973, "6": frame(230, 500, 75), "7": frame(230, 500, 75), "9": 150, "16": True}
CLAMPED = {"101": 2300, "102": 5000, "103": 1100, "131": 100_000, "133": 1100, "135": 500}
METERS: dict[str, tuple[str, list[Answer]]] = {
    # The counter is 0 for once, as after a cut: a spike of its whole size in other programs.
    "zero": ("breaker", [breaker(54_973), breaker(54_973), breaker(0), breaker(54_974)]),
    # Everything is 0 for once.
    "blank": (
        "breaker",
        [
            breaker(54_973),
            {**breaker(0, frame(0, 0, 0)), "15": 0, "16": False},
            {**breaker(54_974), "9": 16},
        ],
    ),
    # The counter goes back by its last digit: a restart for a sensor that only increases.
    "trembling": ("breaker", [breaker(5497), breaker(5496), breaker(5498)]),
    # What flows back, once without the datapoint that says so.
    "clamps": (
        "pj1103c",
        [CLAMPS, {dp: raw for dp, raw in CLAMPS.items() if dp != "102"}, CLAMPS],
    ),
    # What flows back as a distance below 0x99999A and as two's complement, and an overflown total.
    "overflown": (
        "din_meter",
        [
            PHASES,
            PHASES
            | {
                "6": frame(230, 500, 0x19999A - 75),
                "7": frame(230, 500, 0x1000000 - 75),
                "9": 0x1999999A - 75,
            },
            PHASES,
        ],
    ),
    # What flows back, as a number of sixteen bits without a sign: 64 kW beside 1.2 kVA.
    "unsigned": ("owon_pc321", [CLAMPED, CLAMPED | {"103": 64_436}, CLAMPED]),
    # Numbers as text and with a decimal point, and answers of nothing.
    "texts": (
        "breaker",
        [
            {**breaker(0), "1": "54973", "15": "30", "16": "true"},
            {},
            {"1": None, "6": None},
            {**breaker(0), "1": 54_974.0, "15": 30.0},
        ],
    ),
    # The counter has no more digits, and goes on at zero: 0.04 kWh were used meanwhile.
    "rolling": ("breaker", [breaker(99_999_998), breaker(99_999_998), *[breaker(2)] * 5]),
}


class Played:
    """A meter with scripted answers, one after the other; the last one is repeated."""

    def __init__(self, name: str, answers: list[Answer]) -> None:
        self._answers = answers
        self.given = 0
        self.meter = SimulatedMeter(f"id-{name}", KEY, "3.4", self._next)

    def _next(self) -> dict[str, Any]:
        answer = self._answers[min(self.given, len(self._answers) - 1)]
        self.given += 1
        return dict(answer)


@pytest.fixture
def played() -> Iterator[dict[str, Played]]:
    meters = {name: Played(name, answers) for name, (_, answers) in METERS.items()}
    for one in meters.values():
        one.meter.start()
    yield meters
    for one in meters.values():
        one.meter.stop()


def table(name: str, port: int) -> str:
    return "\n".join(
        [
            "[[meters]]",
            f'name = "{name}"',
            f'device_id = "id-{name}"',
            'address = "127.0.0.1"',
            f"port = {port}",
            f"local_key = '{KEY}'",
            'protocol = "3.4"',
            f'profile = "{METERS[name][0]}"',
            "push = false",
        ]
    )


def test_what_others_are_complained_about_is_neither_stored_nor_published(
    start: Callable[..., Service],
    broker: Mosquitto,
    server: RedisProcess,
    played: dict[str, Played],
) -> None:
    tables = [table(name, one.meter.port) for name, one in played.items()]
    config = configuration(tables, mqtt_port=broker.port, redis_url=server.url)
    with Observer(broker.port, "esquirell/meter/#", "homeassistant/#") as observer:
        service = start(config)
        enough = {name: len(answers) + 1 for name, (_, answers) in METERS.items()}
        eventually(
            lambda: all(service.readings(name) >= count for name, count in enough.items()),
            what=lambda: service.log,
        )

        def states(meter: str) -> list[dict[str, Any]]:
            return [seen.json for seen in observer.of(f"esquirell/meter/{meter}/state")]

        def said(meter: str, key: str) -> set[object]:
            """Return what was stored of a quantity; no other value was published."""
            shown = {state[key] for state in states(meter)}
            joined = "FROM reading JOIN meter ON id = meter_id WHERE name = ?"
            stored = {row[0] for row in service.rows(f"SELECT {key} {joined}", meter)}
            assert shown <= stored | {None}
            return stored - {None}

        eventually(lambda: said("zero", "energy_import") == {549.73, 549.74})
        eventually(lambda: said("blank", "energy_import") == {549.73, 549.74})
        eventually(lambda: said("trembling", "energy_import") == {54.97, 54.98})
        assert None in {state["energy_import"] for state in states("zero")}
        assert said("clamps", "active_power_a") == {-280.5}
        assert said("overflown", "active_power_a") == {75, -75}
        assert said("overflown", "active_power_b") == {75, -75}
        assert said("overflown", "active_power") == {150, -75}
        assert said("unsigned", "active_power_a") == said("unsigned", "active_power") == {1100}
        eventually(lambda: said("texts", "energy_import") == {549.73, 549.74})
        assert said("texts", "leakage_current") == {0.03}
        # What no digit shows is not guessed: the sum goes on from where it was.
        eventually(lambda: len(said("rolling", "energy_import")) > 1)
        assert all(float(str(one)) >= 999_999.98 for one in said("rolling", "energy_import"))
        # Milliamperes are amperes, and what failed is no measurement.
        assert said("zero", "leakage_current") == {0.03}
        assert 16 in {state["diagnostics"]["fault"] for state in states("blank")}
        assert not any("fault" in state for state in states("blank"))
        for meter in METERS:
            ends = [
                seen.json["state"] for seen in observer.of(f"esquirell/meter/{meter}/availability")
            ]
            assert ends[-1] == "online"
            # Before its first answer, and where it answered nothing.
            assert ends.count("offline") <= 1 + (meter == "texts")
        (announced,) = {
            seen.payload for seen in observer.of("homeassistant/device/esquirell_zero/config")
        }
        sensors = json.loads(announced)["components"].values()
        assert {
            (one.get("device_class"), one.get("state_class"), one.get("unit_of_measurement"))
            for one in sensors
        } >= {("energy", "total_increasing", "kWh"), ("current", "measurement", "A")}
