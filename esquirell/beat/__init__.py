"""Beat: schedules over RedBeat entries in Redis; everything that knows Redis."""
