"""QR codes (ISO/IEC 18004), in a terminal and on the page."""

import io

import segno

# White on black, whatever the colours of the terminal are: scanners want light around the code.
_COLOURS, _RESET = "\x1b[97;40m", "\x1b[0m"


def terminal_lines(text: str, *, blocks: bool) -> list[str]:
    """Return the QR code of a text as lines for a terminal.

    Two rows a line as half blocks; as coloured spaces for a terminal without such characters.
    """
    drawn = io.StringIO()
    _code(text).terminal(drawn, border=2, compact=blocks)
    lines = drawn.getvalue().splitlines()
    return [f"{_COLOURS}{line}{_RESET}" for line in lines] if blocks else lines


def svg(text: str) -> str:
    """Return the QR code of a text as an SVG element, black on white in the dark as well."""
    return str(_code(text).svg_inline(border=4, light="#fff", omitsize=True))


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="l", boost_error=False)
