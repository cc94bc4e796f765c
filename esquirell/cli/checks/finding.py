"""What was found at one thing that was checked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the matter with `check`, and the remedy where there is something to do.

    `ok` with a remedy is nothing that keeps the program from working, but worth a look.
    """

    check: str
    ok: bool
    message: str
    remedy: str | None = None

    @property
    def mark(self) -> str:
        """The sign at the start of its line."""
        if not self.ok:
            return "✗"
        return "!" if self.remedy else "✓"

    def payload(self) -> dict[str, object]:
        """Build the JSON form."""
        facts = {"check": self.check, "ok": self.ok, "message": self.message}
        return facts | {"remedy": self.remedy}


def fine(check: str, message: str) -> Finding:
    """Find nothing to do."""
    return Finding(check, ok=True, message=message)


def advice(check: str, message: str, remedy: str) -> Finding:
    """Find something worth a look."""
    return Finding(check, ok=True, message=message, remedy=remedy)


def fault(check: str, message: str, remedy: str) -> Finding:
    """Find what keeps the program from working."""
    return Finding(check, ok=False, message=message, remedy=remedy)
