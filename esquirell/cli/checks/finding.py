"""The result of one check."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
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
