"""When a schedule is due: intervals on a fixed grid, crontabs in their own time zone."""

import re
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule

FIELDS = 5
_WITH_YEAR = 7
_UNQUOTED = "; put it in quotation marks, or the shell takes each * for the files of the folder"
_SHOWN = 60
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_INTERVAL = re.compile(r"^Every (?P<ordinal>[a-z]+|\d+(?:st|nd|rd|th)) (?P<unit>minute|hour)\b")
# Applied in this order: a pattern and its replacement.
_WORDS = tuple(
    (re.compile(found), said)
    for found, said in (
        (r"hour from (\d+) through (\d+)", r"hour from \1:00 to \2:00"),
        (r"^At the start of every hour", "Every hour, on the hour"),
        (r"(minutes?) of every hour\b", r"\1"),
        (r" past every ", " in every "),
        (r" past (hours? )", r" in the \1"),
        (r"every second day of month", "every other day of the month"),
        (r"day of month", "day of the month"),
        (r"on Monday through Friday", "on weekdays"),
        (r"on Saturday and Sunday", "at weekends"),
        (r"on (\w+day)$", r"every \1"),
        (r" through ", " to "),
    )
)


class Rule(Protocol):
    """Returns the times at which a schedule runs."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first run after `moment` (aware); None when there is none."""

    def to_json(self) -> dict[str, Any]:
        """Return the rule in the form that `from_json` reads."""


@record
class Grid:
    """Runs at each unix time that is divisible by `every` (seconds), without drift."""

    every: int

    def after(self, moment: datetime) -> datetime:
        """Return the first point of the grid after `moment`."""
        slot = int(moment.timestamp() // self.every)
        return datetime.fromtimestamp((slot + 1) * self.every, UTC)

    def to_json(self) -> dict[str, Any]:
        return {"every": self.every}


@record
class Crontab:
    """Runs by a five-field crontab in wall time of `zone`, across daylight saving as cron does."""

    cron: str
    zone: str

    def after(self, moment: datetime) -> datetime | None:
        """Return the first run after `moment`, never at or before it.

        cronsim starts from wall time, which in the repeated hour of autumn means its first
        occurrence: a run that it finds there may be over.
        """
        runs = CronSim(self.cron, moment.astimezone(ZoneInfo(self.zone)))
        found = (run.astimezone(UTC) for run in runs)
        return next((run for run in found if run > moment), None)

    def to_json(self) -> dict[str, Any]:
        return {"cron": self.cron, "zone": self.zone}


def rule_of(schedule: Schedule, default_zone: str) -> Rule:
    """Build the rule of a schedule. Raises ConfigError when its crontab or zone is not valid."""
    if schedule.every is not None:
        return Grid(schedule.every)
    zone = schedule.timezone or default_zone
    check_cron(schedule.cron or "", zone)
    return Crontab(schedule.cron or "", zone)


def explain(cron: str, zone: str, count: int) -> tuple[str, list[datetime]]:
    """Return a crontab in English words, and its next runs. Raises ConfigError."""
    check_cron(cron, zone)
    rule, runs = Crontab(cron, zone), list[datetime]()
    moment: datetime | None = datetime.now(UTC)
    while len(runs) < count and moment and (moment := rule.after(moment)):
        runs.append(moment)
    return in_words(CronSim(cron, datetime.now(ZoneInfo(zone)))), runs


def from_json(data: dict[str, Any]) -> Rule:
    """Read a rule back. Raises KeyError or TypeError when it is invalid."""
    return Grid(data["every"]) if "every" in data else Crontab(data["cron"], data["zone"])


def check_cron(text: str, zone: str) -> None:
    """Reject a crontab that never runs or does not have five fields. Raises ConfigError."""
    fields = len(text.split())
    if fields != FIELDS:
        shown = shorten(text, _SHOWN, placeholder=" …")
        raise ConfigError(
            f'cron "{shown}" has {fields} field{"s" * (fields != 1)}, not five: minute, hour, day, '
            f"month and weekday{_UNQUOTED if fields > _WITH_YEAR else ''}"
        )
    try:
        now = datetime.now(ZoneInfo(zone))
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {zone}") from error
    try:
        CronSim(text, now)
    except CronSimError as error:
        raise ConfigError(f'cron "{text}" is not valid: {str(error).lower()}') from error
    except ValueError as error:  # Python refuses numbers with thousands of digits
        raise ConfigError("cron has a number with too many digits") from error


def in_words(crontab: CronSim) -> str:
    """Return when a crontab runs: `At 08:30 on weekdays`."""
    words = _INTERVAL.sub(_counted, crontab.explain().replace("At minute 0 past every ", "Every "))
    for found, said in _WORDS:
        words = found.sub(said, words)
    return words


def _counted(found: re.Match[str]) -> str:
    """Return `Every 5 minutes` for `Every fifth minute`."""
    ordinal, unit = found["ordinal"], found["unit"]
    if ordinal[0].isdigit():
        return f"Every {ordinal[:-2]} {unit}s"
    return f"Every {_ORDINALS.index(ordinal) + 2} {unit}s" if ordinal in _ORDINALS else found[0]
