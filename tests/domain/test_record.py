"""Our data classes are shown as those of Python, without what must not be seen."""

from dataclasses import field

from esquirell.domain.record import record


@record
class Login:
    user: str
    password: str = field(repr=False)
    port: int = 1883


def test_a_record_is_shown_without_its_hidden_fields() -> None:
    assert repr(Login("anna", "s3cret")) == "Login(user='anna', port=1883)"


@record
class Visitor(Login):
    """Has the same fields."""


def test_records_are_equal_by_type_and_values() -> None:
    assert Login("anna", "s3cret") == Login("anna", "s3cret", 1883)
    assert Login("anna", "s3cret") != Login("anna", "other")
    assert Login("anna", "s3cret") != Visitor("anna", "s3cret")
    assert len({Login("anna", "s3cret"), Login("anna", "s3cret"), Login("otto", "s3cret")}) == 2


@record
class Token:
    text: str
    used: int = field(default=0, compare=False)

    def __repr__(self) -> str:
        return "Token(***)"


@record
class Bearer(Token):
    """Inherits how it is shown."""


def test_a_record_keeps_how_it_is_shown_by_itself() -> None:
    assert repr(Token("s3cret")) == repr(Bearer("s3cret")) == "Token(***)"


@record
class Name:
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.text.lower() == other.text.lower()

    def __hash__(self) -> int:
        return hash(self.text.lower())


def test_a_record_keeps_how_it_is_compared_by_itself() -> None:
    assert Name("Anna") == Name("anna")
    assert Name("Anna") != Name("otto")
    assert len({Name("Anna"), Name("anna")}) == 1


def test_fields_that_are_not_compared_make_no_difference() -> None:
    assert Token("s3cret", 1) == Token("s3cret", 2)
    assert hash(Token("s3cret", 1)) == hash(Token("s3cret", 2))
    assert Token("s3cret") != Token("other")
