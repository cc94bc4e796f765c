"""Which of two ledgers of a meter is kept: the one that knows more, not the one that comes last."""

from datetime import UTC, datetime, timedelta

from esquirell.domain.reading import Ledger

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_newer_one_follows() -> None:
    assert Ledger(NOON + MINUTE).follows(Ledger(NOON))
    assert not Ledger(NOON).follows(Ledger(NOON + MINUTE))


def test_after_the_clock_was_set_back_the_one_it_was_derived_from_is_followed() -> None:
    assert Ledger(NOON, based_on=NOON + MINUTE).follows(Ledger(NOON + MINUTE))


def test_a_correction_is_followed_by_nothing_that_was_derived_before_it() -> None:
    corrected = Ledger(NOON).corrected({})
    assert corrected.follows(Ledger(NOON + MINUTE))
    assert not Ledger(NOON + MINUTE, based_on=NOON).follows(corrected)


def test_what_its_writer_stored_or_what_it_is_based_on_is_known() -> None:
    stored = Ledger(NOON, writer="worker")
    assert Ledger(NOON + MINUTE, writer="worker").knows(stored)
    assert Ledger(NOON + MINUTE, based_on=NOON, writer="another").knows(stored)
    assert not Ledger(NOON + MINUTE, writer="another").knows(stored)
    assert not Ledger(NOON + MINUTE, writer="worker").knows(stored.corrected({}))
