"""The result of one check, and those of many meters in a few lines."""

from collections.abc import Iterator
from dataclasses import replace

from esquirell.domain.record import record

# Up to this many meters, each good finding gets its own line.
FEW = 5
NAMED = 5
PREFIX = "meter "


@record
class Finding:
    """The result of `check`, with a remedy where there is something to do.

    `ok` with a remedy: the program works, but it is worth a look.
    """

    check: str
    ok: bool
    message: str
    remedy: str | None = None

    @property
    def mark(self) -> str:
        """The symbol at the start of its line."""
        if not self.ok:
            return "✗"
        return "!" if self.remedy else "✓"

    def payload(self) -> dict[str, object]:
        """Return the JSON form."""
        facts = {"check": self.check, "ok": self.ok, "message": self.message}
        return facts | {"remedy": self.remedy}


def fine(check: str, message: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, ok=True, message=message)


def advice(check: str, message: str, remedy: str) -> Finding:
    """Return a finding that is worth a look."""
    return Finding(check, ok=True, message=message, remedy=remedy)


def fault(check: str, message: str, remedy: str) -> Finding:
    """Return a finding that keeps the program from working."""
    return Finding(check, ok=False, message=message, remedy=remedy)


class MeterFindings:
    """Collects the findings about meters, `meter NAME: WHAT`, until all are there."""

    def __init__(self) -> None:
        self._of: dict[str, list[Finding]] = {}

    def take(self, finding: Finding) -> bool:
        """Keep a finding if it is about a meter; return whether it is."""
        name, _, what = finding.check.removeprefix(PREFIX).partition(": ")
        if not what or not finding.check.startswith(PREFIX):
            return False
        self._of.setdefault(name, []).append(finding)
        return True

    def findings(self) -> Iterator[Finding]:
        """Return all findings about few meters; for many, equal ones once, good ones counted."""
        if len(self._of) <= FEW:
            yield from (finding for found in self._of.values() for finding in found)
            return
        for names, finding in self._groups().values():
            yield finding if len(names) == 1 else _of_all(names, finding)
        sound = [name for name, found in self._of.items() if not any(map(_is_worth, found))]
        if sound:
            yield fine("meters", f"{len(sound)} of {len(self._of)} meters are fine")

    def _groups(self) -> dict[tuple[object, ...], tuple[list[str], Finding]]:
        """Return what is worth a line, with the meters that it applies to."""
        groups: dict[tuple[object, ...], tuple[list[str], Finding]] = {}
        for name, found in self._of.items():
            for finding in filter(_is_worth, found):
                what = finding.check.removeprefix(f"{PREFIX}{name}: ")
                key = what, finding.ok, finding.message, finding.remedy
                names, _ = groups.setdefault(key, ([], finding))
                names.append(name)
        return groups


def _is_worth(finding: Finding) -> bool:
    return not finding.ok or finding.remedy is not None


def _of_all(names: list[str], finding: Finding) -> Finding:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    what = finding.check.rpartition(": ")[2]
    return replace(finding, check=f"meters {', '.join(names[:NAMED])}{more}: {what}")
