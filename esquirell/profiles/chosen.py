"""What a product is known by, and the profile that was chosen for it.

Apart from choosing: what recognises a product is not loaded where profiles are configured.
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
    """What is known of a product before it answers; all of it may be missing."""

    product_id: str = ""
    category: str = ""
    described: "tuple[Specified, ...]" = ()


@record
class Choice:
    """The profile that was chosen, and what is to be said of it, one sentence each.

    Of the `open` datapoints other answers may tell more. It is `guessed` where neither a person nor
    the maker's own words named it; `recognised` says how, where the answer alone told.
    """

    profile: Profile
    warnings: tuple[str, ...] = field(default=())
    open: frozenset[str] = frozenset()
    guessed: bool = False
    recognised: "Recognised | None" = None
