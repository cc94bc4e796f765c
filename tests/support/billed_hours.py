"""Hours of two meters over two changes of the clock, and the tariffs that bill them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from esquirell.domain.cost import PriceRow
from esquirell.domain.statistic import Statistic
from esquirell.domain.tariff import Prices, Tariff

ZONE = "Europe/Warsaw"
SPANS = {
    "spring": (datetime(2026, 2, 27, 23, tzinfo=UTC), datetime(2026, 4, 2, 22, tzinfo=UTC)),
    "autumn": (datetime(2026, 10, 23, 22, tzinfo=UTC), datetime(2026, 11, 3, 9, tzinfo=UTC)),
}
NIGHT: dict[str, object] = {"begin": "22:30", "end": "06:15", "import_price": "0.6213"}
TARIFFS: dict[str, dict[str, object]] = {
    "flat": {"import_price": "1.0817", "export_price": "0.2519"},
    "windows": {
        "import_price": "1.0817",
        "export_price": "0.25",
        "fee_per_day": "0.43",
        "windows": [
            NIGHT,
            {"weekdays": ["sat", "sun"], "import_price": "0.5", "export_price": "0"},
        ],
    },
    "market": {"export_price": "0.1", "fee_per_month": "12.5", "windows": [NIGHT]},
}


def tariff(name: str) -> Tariff:
    return Tariff.model_validate({"name": name, "currency": "PLN"} | TARIFFS[name])


def prices() -> list[PriceRow]:
    """Prices of a market for quarters of an hour, with a day of none."""
    begin = SPANS["autumn"][0]
    return [
        PriceRow(
            begin + number * timedelta(minutes=15),
            Prices() if 200 < number < 300 else Prices(Decimal(number * 37 % 1000) / 1000),
        )
        for number in range(900)
    ]


def hours(span: str) -> Iterator[Statistic]:
    """The hours of a meter with a total and of one with phases alone; some are missing."""
    since, until = SPANS[span]
    for number in range(int((until - since) / timedelta(hours=1))):
        start = since + number * timedelta(hours=1)
        used, fed = number * 7919 % 4001 / 1000, number * 104729 % 977 / 1000
        if number % 17:
            values = {"energy_import": used + number % 1000 / 1e6, "energy_export": fed}
            yield Statistic("main", start, values, 60, 1)
        if number % 23:
            phases = {f"energy_import_{p}": used / (n + 3) for n, p in enumerate("abc")}
            rounded = {key: round(value, 6) for key, value in phases.items()}
            yield Statistic("barn", start, rounded | {"energy_export_b": fed}, 60, 1)
