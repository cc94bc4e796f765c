"""RedBeat: when schedules run, as entries in Redis."""
