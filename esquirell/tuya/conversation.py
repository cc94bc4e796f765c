"""One connection to one device in one protocol: agree on a key, ask, take the answer."""

from collections.abc import Iterator
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.tuya.errors import SESSION_VERSIONS, AttemptError, Step, impossible_key
from esquirell.tuya.lean import DP_QUERY, STATUS, UPDATEDPS, tinytuya
from esquirell.tuya.limits import Budget, Limits
from esquirell.tuya.line import Line
from esquirell.tuya.version import betrayed

BY_ID = "device22"
"""What tinytuya calls devices that answer only for DPs that were asked for by their ids."""

GROUP_SIZE = 10
GROUP_S = 0.5
# Where DPs are found in practice, in groups that fit into one frame of such a device. DP 1
# is in each: some devices stay silent when they have none of the DPs of a request.
_SEARCH_GROUPS = tuple(
    ("1", *map(str, range(first, first + GROUP_SIZE)))
    for first in (2, 12, 22, 50, 60, 101, 111, 121, 131)
)


class Conversation:
    """What is said over one line. tinytuya encrypts and decrypts; it never connects itself.

    `known` are the DP ids of a device that has to be asked for each by its id, as far as
    they have been found.
    """

    def __init__(self, meter: Meter, version: str, line: Line, known: tuple[str, ...]) -> None:
        self._version = version
        self._line = line
        self._cid = meter.cid
        self.known = known
        self._device = _device(meter, version, line)

    def agree(self, deadline: float) -> None:
        """Agree on a session key, where the protocol has one. Raises AttemptError."""
        if self._version not in SESSION_VERSIONS:
            return
        self._line.allow(deadline)
        # tinytuya has no public way to do this on a connection that it did not open.
        if not self._device._negotiate_session_key():  # noqa: SLF001
            raise self._failure("key")

    def ask(
        self, refresh: tuple[int, ...], limits: Limits, budget: Budget, answer_s: float
    ) -> dict[str, Any]:
        """Ask for all DPs, after an UPDATEDPS for those of `refresh`. Raises AttemptError."""
        if refresh:
            self._refresh(refresh, budget.until(limits.refresh_s))
        dps = {} if self._by_id else self._exchange(budget.until(answer_s))
        if self._by_id:
            dps = self._ask_by_id(budget, answer_s)
        if not dps:
            raise self._failure("answer")
        return dps

    def drain(self, deadline: float) -> None:
        """Throw away what the device sent unasked: it tells of a time before the question."""
        self._line.allow(deadline)
        while self._line.pending() and not self._line.expired:
            self._device.receive()
        if self._line.ended:
            raise self._failure("answer")

    @property
    def _by_id(self) -> bool:
        return bool(self._device.dev_type == BY_ID)

    def _refresh(self, ids: tuple[int, ...], deadline: float) -> None:
        self._line.allow(deadline)
        self._device.send(self._device.generate_payload(UPDATEDPS, list(ids)))
        for command, _ in self._messages():
            if command in (UPDATEDPS, STATUS):
                return

    def _exchange(self, deadline: float) -> dict[str, Any]:
        """Send a query and take the answer to it.

        A report that the device sends meanwhile counts only when no answer comes: some
        devices answer with a report. Nothing comes back when the device turns out to be
        one that has to be asked by ids.
        """
        by_id = self._by_id
        self._line.allow(deadline)
        query = self._device.generate_payload(DP_QUERY)
        self._device.send(query)
        report: dict[str, Any] = {}
        for command, result in self._messages():
            if _garbled(result):
                raise self._failure("answer", garbled=True)
            if self._by_id != by_id:
                return {}
            dps = _dps(result, self._cid)
            if dps is not None and (command == query.cmd or (by_id and dps)):
                return dps
            if dps and command == STATUS:
                report = report or dps
        if not report:
            raise self._failure("answer", garbled=self._broken_off)
        return report

    def _ask_by_id(self, budget: Budget, answer_s: float) -> dict[str, Any]:
        dps: dict[str, Any] = {}
        for group in _groups(self.known) or _SEARCH_GROUPS:
            self._device.set_dpsUsed(dict.fromkeys(group))
            try:
                dps |= self._exchange(budget.until(answer_s if self.known else GROUP_S))
            except AttemptError as error:
                if self.known or error.ended or error.garbled:
                    raise
        self.known = tuple(dps)
        return dps

    def _messages(self) -> Iterator[tuple[int, Any]]:
        """Give the command and the content of each frame until the deadline or the end."""
        while True:
            result = self._device.receive()
            if not self._device.raw_recv:
                return
            yield self._device.raw_recv[-1].cmd, result

    @property
    def _broken_off(self) -> bool:
        """Tell whether listening ended because a frame could not be opened."""
        return bool(self._line.heard) and not self._line.ended and not self._line.expired

    def _failure(self, step: Step, *, garbled: bool = False) -> AttemptError:
        speaks = betrayed(self._line.heard, self._version)
        agreed = step == "answer" and self._version in SESSION_VERSIONS
        return AttemptError(
            self._version,
            step,
            speaks=speaks,
            # A key that was agreed on fits; one that was not, though the frame is right, does not.
            garbled=(garbled or step == "key") and not agreed and speaks == self._version,
            ended=self._line.ended,
        )


def _device(meter: Meter, version: str, line: Line) -> Any:  # noqa: ANN401  tinytuya has no types
    key = meter.local_key.get_secret_value()
    if not key.isascii():
        raise impossible_key(meter)
    device = tinytuya.Device(
        meter.lan_id,
        cid=meter.cid or None,
        address=meter.address,
        local_key=key,
        version=float(version),
        persist=True,
        connection_retry_limit=0,
    )
    device.set_retry(retry=False)
    # Its pause before listening is of no use to one who waits for the answer anyway.
    device.set_sendWait(None)
    device.socket = line
    return device


def _dps(result: object, cid: str) -> dict[str, Any] | None:
    """Take the DPs of an answer, unless it is about another device behind the same gateway."""
    if not isinstance(result, dict) or result.get("cid", cid) != cid:
        return None
    dps = result.get("dps")
    return dict(dps) if isinstance(dps, dict) else None


def _garbled(result: object) -> bool:
    """Tell whether a frame came that the key does not open; a refusal in words is none."""
    if not isinstance(result, dict) or "Err" not in result:
        return False
    refused = isinstance(result.get("Payload"), str)
    return not refused and result["Err"] != str(tinytuya.ERR_DEVTYPE)


def _groups(ids: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [ids[start : start + GROUP_SIZE] for start in range(0, len(ids), GROUP_SIZE)]
