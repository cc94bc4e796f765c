"""RedBeat: when schedules run, as entries in Redis."""

from esquirell.beat import tenacity_import  # noqa: F401 - before RedBeat
