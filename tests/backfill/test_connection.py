"""The way to Home Assistant's websocket: where a token may go, and what becomes of faults."""

import socket
from collections.abc import Iterator

import pytest
from support.long_term_server import TOKEN, HomeAssistantDouble, serving
from support.ports import free_port

from esquirell.domain.errors import ConfigError, HomeAssistantError, UnavailableError
from esquirell.homeassistant import connection
from esquirell.homeassistant.connection import Connection


@pytest.fixture
def double() -> Iterator[HomeAssistantDouble]:
    with serving(HomeAssistantDouble()) as double:
        yield double


def test_a_question_has_its_own_answer(double: HomeAssistantDouble) -> None:
    with Connection(double.url, TOKEN) as connection:
        assert connection.call("auth/current_user") == {"id": "1", "is_admin": True}
        assert connection.call("config/entity_registry/list") == []
    assert [message["id"] for message in double.received] == [1, 2]


def test_the_token_is_no_header(double: HomeAssistantDouble) -> None:
    with Connection(double.url, TOKEN):
        pass
    assert TOKEN not in str(double.headers)


def test_a_refused_token_is_said_and_not_shown(double: HomeAssistantDouble) -> None:
    with (
        pytest.raises(ConfigError, match="refuses this token") as caught,
        Connection(double.url, "x9"),
    ):
        pass
    assert "x9" not in str(caught.value)


def test_a_refused_command_keeps_its_code(double: HomeAssistantDouble) -> None:
    with Connection(double.url, TOKEN) as connection, pytest.raises(HomeAssistantError) as caught:
        connection.call("recorder/forget_all")
    assert (caught.value.reason, caught.value.code) == ("unknown_command", "task_failed")


def test_an_unreachable_home_assistant_is_an_error_and_no_crash() -> None:
    url = f"ws://127.0.0.1:{free_port()}/api/websocket"
    with pytest.raises(UnavailableError, match="does not answer"), Connection(url, TOKEN):
        pass


def test_a_name_without_an_address_is_said_with_the_setting_that_holds_it() -> None:
    said = "'home.invalid' has no address: check url in .home_assistant."
    url = "wss://home.invalid/api/websocket"
    with pytest.raises(UnavailableError, match=said), Connection(url, TOKEN):
        pass


def test_a_connection_that_is_lost_is_said(double: HomeAssistantDouble) -> None:
    double.end_after = 1
    with Connection(double.url, TOKEN) as connection:
        connection.call("auth/current_user")
        with pytest.raises(UnavailableError, match="closed the connection"):
            connection.call("auth/current_user")


@pytest.mark.parametrize("path", ["elsewhere", "page", "nothing"])
def test_only_a_websocket_gets_the_token(double: HomeAssistantDouble, path: str) -> None:
    url = f"ws://127.0.0.1:{double.port}/{path}/api/websocket"
    with pytest.raises((ConfigError, UnavailableError)), Connection(url, TOKEN):
        pass
    # A redirection was not followed.
    assert double.headers == []


def test_no_token_goes_to_a_public_address_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    def public(*_args: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.114.7", 8123))]

    monkeypatch.setattr(socket, "getaddrinfo", public)
    with (
        pytest.raises(ConfigError, match="a public address"),
        Connection("ws://home.example:8123/api/websocket", TOKEN),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.1.9", True),
        ("172.30.32.2", True),
        ("169.254.1.1", True),
        ("fd00::5", True),
        ("fe80::1%eth0", True),
        ("::ffff:192.168.1.9", True),
        ("::ffff:8.8.8.8", False),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("2a00:1450::1", False),
    ],
)
def test_private_addresses(text: str, private: bool) -> None:
    assert connection.is_private(text) is private


def test_the_websocket_of_a_page() -> None:
    assert connection.websocket_url("http://h:8123") == "ws://h:8123/api/websocket"
    assert connection.websocket_url("https://h") == "wss://h/api/websocket"
    assert not connection.is_encrypted(connection.SUPERVISOR)
