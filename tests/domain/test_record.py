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
