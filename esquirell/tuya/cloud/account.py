"""A project in Tuya's cloud and its remaining requests."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.record import record


@record
class Account:
    """Credentials and address: `url` takes precedence over `region`; a limit of 0 means none."""

    region: str
    api_key: str
    api_secret: SecretStr
    url: str = ""
    per_day: int = 0
    per_month: int = 0


@record
class RequestCount:
    """The number of requests in the current day and month, in UTC."""

    today: int = 0
    this_month: int = 0


class Quota:
    """Counts requests over all processes of this machine, in a file of the state directory."""

    def __init__(self, file: Path, account: Account, clock: Callable[[], datetime]) -> None:
        self._file = file
        self._account = account
        self._clock = clock

    def spent(self) -> RequestCount:
        """Return the requests spent so far."""
        try:
            return self._read(self._file.read_bytes())
        except OSError:
            return RequestCount()

    def spend(self) -> None:
        """Count a request before it is sent.

        Raises MeterUnreachableError (`cloud_error`) when none is left or they can't be counted.
        """
        try:
            with self._locked() as file:
                spent = self._read(os.pread(file, 4096, 0))
                self._check(spent)
                line = self._line(RequestCount(spent.today + 1, spent.this_month + 1))
                os.ftruncate(file, os.pwrite(file, line, 0))
        except OSError as error:
            raise cloud_error(
                f"requests to the Tuya cloud can't be counted in {self._file} ({error.strerror}): "
                "set state_dir to a folder that esquirell may write to"
            ) from error

    def _check(self, spent: RequestCount) -> None:
        for used, limit, span in (
            (spent.today, self._account.per_day, "day"),
            (spent.this_month, self._account.per_month, "month"),
        ):
            if limit and used >= limit:
                raise cloud_error(
                    f"the {limit} requests to the Tuya cloud that [cloud] allows in a {span} are "
                    f"used up: read cloud meters less often, or raise requests_per_{span}"
                )

    def _read(self, data: bytes) -> RequestCount:
        try:
            noted: dict[str, Any] = json.loads(data or b"{}")
            today = noted["today"] if noted.get("day") == self._day else 0
            month = noted["this_month"] if noted.get("month") == self._day[:7] else 0
            return RequestCount(int(today), int(month))
        except (ValueError, KeyError, TypeError, AttributeError):
            return RequestCount()

    def _line(self, spent: RequestCount) -> bytes:
        days = {"day": self._day, "month": self._day[:7]}
        noted = days | {"today": spent.today, "this_month": spent.this_month}
        return json.dumps(noted).encode() + b"\n"

    @property
    def _day(self) -> str:
        return self._clock().date().isoformat()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # held for a few reads and writes only
            yield file
        finally:
            os.close(file)


def cloud_error(sentence: str) -> MeterUnreachableError:
    """Return the error for a fault of the cloud."""
    return MeterUnreachableError("cloud_error", sentence)
