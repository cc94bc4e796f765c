"""Where a setting came from, for error messages."""

Route = tuple[str, ...]

LONGEST_NAME = 80


class Origins:
    """Remembers which settings came from an environment variable; all others are from the file.

    A route leads to a table or a key: `("mqtt", "port")`, `("meters", "main")`; that of the top
    level is empty.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._variables: dict[Route, str] = {}

    def note(self, route: Route, variable: str) -> None:
        """Record that an environment variable set a key or a whole table."""
        self._variables[route] = variable

    def variable(self, route: Route) -> str | None:
        """Return the environment variable that set a key, by itself or with its table."""
        return self._found(route)[0]

    def about(self, table: Route, key: str, problem: str) -> str:
        """Return a sentence about a problem with a key, or with a table (no key).

        The problem of a key continues the sentence (`must be a whole number`); that of a table is a
        sentence of its own.
        """
        variable, rest = self._found((*table, key) if key else table)
        table, key, rest = _short(table), *_short((key,)), _short(rest)
        names = (variable, *rest) if variable else (self.file, ".".join(table), key)
        return f"{': '.join(filter(None, names))}{'' if key else ':'} {problem}"

    def _found(self, route: Route) -> tuple[str | None, Route]:
        for length in range(len(route), 0, -1):
            if route[:length] in self._variables:
                return self._variables[route[:length]], route[length:]
        return None, ()


def _short(names: Route) -> Route:
    return tuple(f"{name[:LONGEST_NAME]}…" if len(name) > LONGEST_NAME else name for name in names)
