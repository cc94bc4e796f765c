"""Where a setting came from, as errors name it."""

Route = tuple[str, ...]


class Places:
    """Knows which settings an environment variable gave; all others are the file's.

    A route leads to a table or a key: `("mqtt", "port")`, `("meters", "main")`; that of
    the top of the file is empty.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._variables: dict[Route, str] = {}

    def note(self, route: Route, variable: str) -> None:
        """Remember that an environment variable gave a key or a whole table."""
        self._variables[route] = variable

    def variable(self, route: Route) -> str | None:
        """Name the environment variable that gave a key, by itself or with its table."""
        return self._found(route)[0]

    def about(self, table: Route, key: str, problem: str) -> str:
        """Make one sentence of a key, or of a table (no key), and its problem.

        A problem of a key follows it: `must be a whole number`; one of a table stands alone.
        """
        variable, rest = self._found((*table, key) if key else table)
        names = (variable, *rest) if variable else (self.file, ".".join(table), key)
        return f"{': '.join(filter(None, names))}{'' if key else ':'} {problem}"

    def _found(self, route: Route) -> tuple[str | None, Route]:
        for length in range(len(route), 0, -1):
            if route[:length] in self._variables:
                return self._variables[route[:length]], route[length:]
        return None, ()
