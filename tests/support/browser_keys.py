"""A user with a keyboard only, who sees where the focus is."""

from support.browser import Keys, Window

ENTER, SPACE, ESCAPE = Keys.ENTER, Keys.SPACE, Keys.ESCAPE
DOWN, RIGHT = Keys.ARROW_DOWN, Keys.ARROW_RIGHT
# What is in a field is replaced by what is typed next.
ALL = Keys.CONTROL + "a" + Keys.NULL
FURTHEST = 150

_SEEN = """
const one = document.activeElement;
const style = getComputedStyle(one);
const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
return one === document.body || seen;
"""
_NAME = """
const one = document.activeElement;
return one.matches("input, select, textarea") ? one.name : one.innerText.trim();
"""
_PLACE = "const one = document.activeElement; return one.className || one.localName"


class Keyboard:
    """Goes from one place of a page to the next, forwards."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def press(self, *keys: str) -> None:
        self.window.driver.switch_to.active_element.send_keys(*keys)

    def tab(self) -> None:
        """Go to the next place; that it has the focus must be seen."""
        self.window.press(Keys.TAB)
        assert self.window.script(_SEEN), self.window.focused

    @property
    def place(self) -> str:
        """The class or the kind of the element that has the focus."""
        return str(self.window.script(_PLACE))

    def to(self, name: str, inside: str = "body") -> None:
        """Go to what has these words or, as a field, this name."""
        is_inside = "return document.activeElement.closest(arguments[0]) !== null"
        for _ in range(FURTHEST):
            self.tab()
            if self.window.script(_NAME) == name and self.window.script(is_inside, inside):
                return
        raise AssertionError(f"{name} is not reached")

    def to_place(self, kind: str) -> None:
        """Go to an element of some kind."""
        for _ in range(FURTHEST):
            self.tab()
            if self.window.script("return document.activeElement.localName") == kind:
                return
        raise AssertionError(f"{kind} is not reached")
