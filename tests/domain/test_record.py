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
