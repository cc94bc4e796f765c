"""Polls the meters of a configuration file, and prints which of our modules that has entered.

It is run as a process of its own, as it looks at what all threads do.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
OURS = f"{ROOT / 'esquirell'}{os.sep}"


class Trace:
    """Notes the modules whose functions are called while it is on.

    That of the broker's connection is left out: it does the same between two polls, and whether it
    sends within one depends on how busy the machine is.
    """

    def __init__(self) -> None:
        self.on = False
        self.entered: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        del argument
        file = frame.f_code.co_filename
        if not self.on or event != "call" or threading.current_thread().name == "mqtt":
            return
        if file.startswith(OURS):
            self.entered.add(str(Path(file).relative_to(ROOT)))


def main(config: str) -> None:
    trace = Trace()
    # Before any thread is started, also that which speaks to the meters.
    threading.setprofile(trace)
    sys.setprofile(trace)
    os.environ["ESQUIRELL_CONFIG"] = config
    from esquirell.celery import app  # noqa: PLC0415 - traced, too
    from esquirell.runtime.root import Runtime, use  # noqa: PLC0415 - as above
    from esquirell.settings import load  # noqa: PLC0415 - the same

    runtime = Runtime(load(), app)
    use(runtime)
    runtime.prepare()
    runtime.connect()
    runtime.devices.lines = runtime.polling.lines
    runtime.polling.lines.run_once()
    # What is done once in a while only is not what a reading enters.
    for _ in range(3):
        runtime.polling.fetch.scheduled(None, lambda: None)
        time.sleep(1)
    rounds = []
    for _ in range(3):
        trace.entered, trace.on = set(), True
        outcome = runtime.polling.fetch.scheduled(None, lambda: None)
        trace.on = False
        rounds.append(trace.entered)
        time.sleep(1)
    entered = set.intersection(*rounds)
    sys.stdout.write(json.dumps({"outcome": outcome, "entered": sorted(entered)}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
