"""The long-running roles: worker, beat, bridge, and all of them in one process."""
