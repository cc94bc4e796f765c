"""Redis: the broker of tasks, and what the processes of a service share through it."""
