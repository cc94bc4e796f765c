"""When schedules run: rules, and the entries of RedBeat in Redis; `redbeat` imports RedBeat."""

import esquirell.broker  # noqa: F401 - it imports redis
