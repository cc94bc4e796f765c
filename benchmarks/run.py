"""One run of the benchmark: its folder, its thoroughness, and what it says meanwhile."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.programs import ROOT

# On a disk: what is written to a file system in memory would not be counted.
FOLDER = ROOT / ".cache" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Run:
    """How a part is to measure; `quick` takes fewer and shorter repetitions."""

    folder: Path
    quick: bool
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Report how far it is."""
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Return an empty folder that is removed afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)
