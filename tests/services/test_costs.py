from support.bills import HOME, NOON, reckoned


def test_today_and_this_month_begin_at_local_midnights() -> None:
    told = reckoned(HOME).of_late("main")
    assert told
    assert told["today"]["start"] == "2026-11-21T23:00:00.000Z"
    assert told["this_month"]["start"] == "2026-10-31T23:00:00.000Z"
    assert told["today"]["total"] == 13
    assert told["this_month"]["total"] == 21 * 24 + 13


def test_the_first_tariff_that_covers_a_meter_is_its_own() -> None:
    garage = HOME.model_copy(update={"name": "garage", "meters": ("garage",)})
    costs = reckoned(garage, HOME)
    found = {meter: costs.tariff_of(meter) for meter in ("garage", "main")}
    assert found == {"garage": garage, "main": HOME}


def test_without_a_tariff_there_is_no_cost() -> None:
    garage = HOME.model_copy(update={"meters": ("garage",)})
    assert reckoned(garage, now=NOON).of_late("main") is None
