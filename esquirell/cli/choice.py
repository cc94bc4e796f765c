"""A value that has to be one of several."""

from collections.abc import Sequence

import click

from esquirell.domain.nearest import similar


class OneOf(click.Choice[str]):
    """A choice of texts; a misspelt one is answered with the one that may be meant."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the choice. Raises click.BadParameter."""
        if value in self.choices:
            return value
        meant = similar(value, self.choices)
        hint = f"; did you mean {meant!r}?" if meant else ""
        known = ", ".join(one for one in self.choices if one)
        return self.fail(f"{value!r} is not one of {known}{hint}", param, ctx)
