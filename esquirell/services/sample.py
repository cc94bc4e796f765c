"""What a meter answered, understood when somebody needs it."""

import threading
from collections.abc import Callable

from esquirell.domain.reading import Reading


class Sample:
    """An answer of a meter as it came, of which a reading is made once, however many share it.

    It is made by who gathers the answers, not by the thread that waited for this one: dozens of
    threads that decode at once take turns at the interpreter, and that costs four times as much
    as the decoding.
    """

    def __init__(self, understand: Callable[[], Reading]) -> None:
        self._understand = understand
        self._lock = threading.Lock()
        self._reading: Reading | None = None

    def reading(self) -> Reading:
        """Give the reading. Raises EsquirellError when the answer can't be understood."""
        with self._lock:
            if self._reading is None:
                self._reading = self._understand()
            return self._reading
