import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.hosts import check_host, nameless


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", "localhost"),
        (" 192.168.1.5 ", "192.168.1.5"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("homeassistant.local.", "homeassistant.local."),
        ("mosquitto_1", "mosquitto_1"),
        ("größe.example", "größe.example"),
        ("auto", "auto"),
    ],
)
def test_what_a_connection_can_be_made_to(text: str, host: str) -> None:
    assert check_host(text) == host


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mqtt://host", "without …://"),
        ("http://192.168.1.5", "without …://"),
        ("host:1883", "must not contain a port"),
        ("[::1]:1883", "must not contain a port"),
        ("192.168.1.5:6668", "must not contain a port"),
        ("192.168.1.500", "four numbers from 0 to 255"),
        ("192.168.1.010", "without leading zeros"),
        ("ho\0st", "is not a host name"),
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("a..b", "is not a host name"),
        ("x" * 64, "is not a host name"),
        ("two words", "is not a host name"),
        ("user@host", "is not a host name"),
        ("host/path", "is not a host name"),
        ("\ud800", "is not a host name"),
    ],
)
def test_what_no_connection_can_be_made_to(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_host(text)


def test_a_name_without_an_address_says_what_to_do_about_names_in_local() -> None:
    said = nameless("homeassistant.local", "host in [mqtt]")
    assert said.startswith("the name 'homeassistant.local' has no address here: put the IP address")
    assert "libnss-mdns" in said
    assert nameless("broker", "host in [mqtt]").endswith("has no address: check host in [mqtt]")


@given(st.text(max_size=80))
def test_any_text_is_taken_as_it_stays_or_refused(text: str) -> None:
    try:
        host = check_host(text)
    except ValueError:
        return
    assert check_host(host) == host
