"""`python -m benchmarks [PART…] [--quick] [--output FILE]`: measure, and write a page."""

import argparse
import compileall
import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import description
from benchmarks.parts import PARTS
from benchmarks.programs import ROOT
from benchmarks.report import Result, page
from benchmarks.run import FOLDER, Run

PUBLISHED = ROOT / "docs" / "performance.md"
PARTIAL = "performance.md"
HOW = """How fast and how small esquirell is, measured on one machine in one run, side by side with
a reference loop and two other programs. `python -m benchmarks` wrote this page. Each number says
how it was measured:

- **CPU** is user and system time of all processes of the system that is measured, by the kernel's
  clock of each process. Redis, the MQTT broker and the simulated meters are not counted.
- **Memory** is PSS (`/proc/PID/smaps_rollup`): pages shared with other programs count in part.
- **Bytes written** are `write_bytes` of `/proc/PID/io`.
- **Meters** are `tuyamock` devices in processes of their own: protocol 3.4, 28 datapoints of a
  PC321. Servers are a real redis-server and mosquitto; the database is SQLite on disk, settings
  are as shipped. Each system has an environment of its own, with what it needs and no more.
- **The reference loop** (`benchmarks/reference.py`) is the least code
  that does the job: tinytuya with kept connections, one row and one commit per reading, one
  publication with QoS 1. It has no schedule, no commands, no recovery.
- **The peers** forward raw datapoints; they are asked over MQTT at the same pace. They neither
  decode, nor store, nor schedule.
- Numbers are medians, with the lowest and the highest repetition in brackets."""


def main() -> int:
    """Measure the parts that were asked for; 1 when a figure is missed."""
    given = _arguments()
    run = Run(FOLDER, given.quick)
    for folder in (ROOT / "esquirell", Path(sysconfig.get_path("purelib"))):
        compileall.compile_dir(folder, quiet=2, workers=0)
    run.say("byte code is there")
    introduction = f"{HOW}\n\n{description(sys.argv[1:])}"
    results = [_measured(run, part) for part in given.parts or _default(quick=given.quick)]
    text = page(introduction, results)
    output = given.output or default_output(given.parts, quick=given.quick)
    output.write_text(text, encoding="utf-8")
    run.say(f"written to {output}")
    print(f"\n{text.partition('## Figures')[2].strip()}")
    figures = [figure for result in results for figure in result.figures]
    return int(any(figure.met is False for figure in figures))


def _default(*, quick: bool) -> list[str]:
    """Return the parts that are measured when none is named; growth shows only after a while."""
    return [part for part in PARTS if not (quick and part == "growth")]


def default_output(parts: Sequence[str], *, quick: bool) -> Path:
    """Return the page to write: that of the docs has all parts, at full length."""
    return FOLDER / PARTIAL if parts or quick else PUBLISHED


def _measured(run: Run, part: str) -> Result:
    """Measure one part; one that fails does not take the others along."""
    began = time.monotonic()
    try:
        result = PARTS[part](run)
    except Exception as error:  # noqa: BLE001 - the border to a part: the page says what failed
        result = Result()
        result.unmeasured(0, f"part {part}", f"{type(error).__name__}: {error}")
    run.say(f"{part} took {time.monotonic() - began:.0f} s")
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter, three minutes")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"the page to write (all parts at full length: {PUBLISHED.name} of the docs)",
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return given


if __name__ == "__main__":
    # Without byte code each start is slower, and memory fuller, than it has to be.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
