"""Text from others, for a terminal or a log, where some characters act instead of being shown."""

import re

# What moves the cursor, changes colours or sends keys, in one byte or two (C0, C1); what reverses
# the direction of the text that follows; and what some take for a line break.
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with escapes in place of the characters that act; lines and tabs stay."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
