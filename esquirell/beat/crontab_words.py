"""Crontabs in natural English; cronsim's own descriptions are exact, but hard to read.

"Every fifth minute past hours 22 and 23 on Monday through Friday" becomes "Every 5 minutes in the
hours 22 and 23 on weekdays".
"""

import re

from cronsim import CronSim

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
