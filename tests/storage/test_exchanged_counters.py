"""Offsets of counters are forgotten, and devices exchanged, beside a service that goes on."""

from datetime import timedelta

import pytest
from support.polled_house import SECOND, House
from support.statistics import Workshop

from esquirell.domain.counters import GONE
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.services.ledgers import source_of
from esquirell.storage.corrections.store import Corrections
from esquirell.storage.readings import Readings


class TestOffsets:
    """Offsets are forgotten beside a service that goes on."""

    def test_the_sum_continues_from_the_devices_own_counter(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        assert house.stored()[-1] == 0.01
        assert corrections.forget_offsets("main", dry_run=True).sums == {
            "energy_import": (0.01, 1064.22)
        }
        house.count([106423])
        assert house.stored()[-1] == 0.02
        done = corrections.forget_offsets("main")
        assert done.sums == {"energy_import": (0.02, 1064.23)}
        house.count([106423, 106424, 106430])
        assert house.stored()[-3:] == [1064.23, 1064.24, 1064.3]
        assert house.published() == house.stored()
        assert corrections.forget_offsets("main").is_empty
        shop = Workshop(house.database, "UTC")
        shop.rollup()
        assert shop.values("hour", "energy_import") == [pytest.approx(0.02 + 0.07)]
        house.restart()
        house.count([106431])
        assert house.stored()[-1] == 1064.31

    def test_that_is_undone(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        corrections.forget_offsets("main")
        house.count([106423])
        assert corrections.undo("main", ["counter"], dry_run=True).sums == {
            "energy_import": (1064.23, 0.02)
        }
        assert corrections.undo("main", ["counter"]).sums == {"energy_import": (1064.23, 0.02)}
        house.count([106424, 106425])
        assert house.stored()[-2:] == [0.03, 0.04]
        shop = Workshop(house.database, "UTC")
        shop.rollup()
        assert shop.values("hour", "energy_import") == [pytest.approx(0.01 + 0.01)]

    def test_a_reading_that_was_under_way_brings_no_offset_back(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        ledgers = house.poller.ledgers
        ledgers.prepare(["main"])
        corrections.forget_offsets("main")
        late = Reading("main", house.clock.now + SECOND, {"energy_import": 1064.23})
        judged = ledgers.judge(late, house.meter, ())
        Readings(house.database).add([judged], {})
        house.count([106424])
        assert house.stored()[-1] == 1064.24


class TestExchange:
    """Another device takes the place of one, beside a service that goes on."""

    @pytest.mark.parametrize(
        ("counted", "handed_to", "total"),
        [
            # The same device, paired again: what it counted meanwhile is part of the sum.
            (5060.0, "the new one", 5060.0),
            # Another one, whose counter happens to stand where that of the old one did.
            (5010.0, GONE, 5000.0),
            # Nobody said which: by its first reading.
            (5060.0, None, 5000.0),
            (5010.0, None, 5010.0),
        ],
    )
    def test_its_counter_continues_or_begins_anew(
        self, house: House, counted: float, handed_to: str | None, total: float
    ) -> None:
        house.count([500_000, 500_000])
        new = house.meter.model_copy(update={"device_id": "bfnew"})
        if handed_to is not None:
            source = handed_to and source_of(new.device_id, new.invert)
            Corrections(house.database, Calendar("UTC"), house.clock).hand_over("main", source)
        ledgers = house.poller.ledgers
        ledgers.prepare(["main"])
        late = Reading("main", house.clock.now + timedelta(days=10), {"energy_import": counted})
        assert ledgers.judge(late, new, ()).values["energy_import"] == total

    def test_a_meter_of_which_nothing_is_stored_has_nothing_to_hand_over(
        self, house: House
    ) -> None:
        Corrections(house.database, Calendar("UTC"), house.clock).hand_over("attic", GONE)
