"""The identity of a product, and the profile chosen for it.

Separate from choosing: recognition is not loaded where profiles are configured.
"""

from dataclasses import field
from typing import TYPE_CHECKING

from esquirell.domain.profile import Profile
from esquirell.domain.record import record

if TYPE_CHECKING:
    from esquirell.domain.inference import Specified
    from esquirell.domain.recognition import Recognised

UNKNOWN = Profile(name="unknown", title="Unknown product", datapoints={})


@record
class Identity:
    """What is known about a product before it answers; all of it may be missing."""

    product_id: str = ""
    category: str = ""
    described: "tuple[Specified, ...]" = ()


@record
class Choice:
    """A chosen profile, with its warnings, one sentence each.

    `open` datapoints may be settled by other answers. `guessed` means that neither a person nor the
    maker's specification named it; `recognised` tells how, if only the answer did.
    """

    profile: Profile
    warnings: tuple[str, ...] = field(default=())
    open: frozenset[str] = frozenset()
    guessed: bool = False
    recognised: "Recognised | None" = None
