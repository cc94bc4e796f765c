"""A connection to Home Assistant's websocket, and whether an administrator's token may go there.

One request, then its answer: https://developers.home-assistant.io/docs/api/websocket
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Coroutine
from ipaddress import IPv6Address, ip_address
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.ioloop import IOLoop
from tornado.netutil import Resolver
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketError,
    websocket_connect,
)

from esquirell.domain.errors import ConfigError, HomeAssistantError, UnavailableError
from esquirell.domain.hosts import nameless
from esquirell.domain.payload import read_foreign

T = TypeVar("T")

CONNECT_S = 10.0
FAREWELL_S = 0.5
# A database on an SD card takes a while to search a year.
ANSWER_S = 60.0
# A hundred days of hourly rows are a quarter of a MiB.
LARGEST_ANSWER = 32 * 1024 * 1024
API = "/api/websocket"
# The address from within an app; the name resolves to a private address.
SUPERVISOR = "ws://supervisor/core/websocket"


class Connection:
    """A connection that has logged in; `url` starts with ws:// or wss://.

    The token is sent to this address only: redirects are not followed, proxies not used.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._runner = asyncio.Runner()
        self._socket: WebSocketClientConnection | None = None
        self._number = 0

    def __enter__(self) -> Self:
        """Connect and log in. Raises ConfigError, UnavailableError and HomeAssistantError."""
        try:
            self._run(self._connect())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self.close()

    def close(self) -> None:
        """Disconnect; does nothing if it is closed already."""
        if self._socket is not None:
            self._run(self._disconnect(self._socket))
            self._socket = None
        self._runner.close()

    def call(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON is anything
        """Send a command and return its result.

        Raises HomeAssistantError when it is refused, and UnavailableError when the connection is
        lost or nothing arrives for a minute.
        """
        self._number += 1
        return self._run(self._ask({"id": self._number, "type": command} | parameters))

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(step)
        except socket.gaierror as error:
            host = urlsplit(self._url).hostname or ""
            raise UnavailableError(nameless(host, "url in [home_assistant]")) from error
        except (OSError, WebSocketClosedError, TimeoutError, HTTPClientError) as error:
            raise UnavailableError(f"{self._place} does not answer: {_why(error)}") from error
        except WebSocketError as error:
            raise ConfigError(
                f"home_assistant.url: {self._place} is not Home Assistant, or it redirects to "
                "another address: name that one"
            ) from error

    async def _connect(self) -> None:
        resolver: Resolver = Resolver() if is_encrypted(self._url) else _PrivateResolver()
        request = HTTPRequest(self._url, connect_timeout=CONNECT_S, request_timeout=CONNECT_S)
        self._socket = await websocket_connect(
            request, resolver=resolver, max_message_size=LARGEST_ANSWER
        )
        greeting = await self._receive()
        if greeting.get("type") == "auth_required":
            await self._send({"type": "auth", "access_token": self._token})
            greeting = await self._receive()
        if greeting.get("type") == "auth_invalid":
            raise ConfigError(
                f"home_assistant.token: {self._place} refuses this token: create another one in "
                "your profile there, under Security"
            )
        if greeting.get("type") != "auth_ok":
            raise ConfigError(f"home_assistant.url: {self._place} is not Home Assistant")

    async def _disconnect(self, socket: WebSocketClientConnection) -> None:
        socket.close()
        # Its answer to our close frame; anything else it sends is not needed.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while await socket.read_message() is not None:
                    pass

    async def _ask(self, message: dict[str, object]) -> Any:  # noqa: ANN401 - JSON is anything
        await self._send(message)
        while True:
            answer = await self._receive()
            if answer.get("id") == message["id"] and answer.get("type") == "result":
                break
        if not answer.get("success"):
            error = answer.get("error") or {}
            raise HomeAssistantError(
                f"{self._place} refuses {message['type']}: {error.get('message')}",
                reason=str(error.get("code")),
            )
        return answer.get("result")

    async def _send(self, message: dict[str, object]) -> None:
        assert self._socket is not None  # noqa: S101 - for the type checker: it is connected
        await self._socket.write_message(json.dumps(message, allow_nan=False))

    async def _receive(self) -> dict[str, Any]:
        assert self._socket is not None  # noqa: S101 - for the type checker: it is connected
        async with asyncio.timeout(ANSWER_S):
            received = await self._socket.read_message()
        if received is None:
            raise WebSocketClosedError("it closed the connection")
        message = read_foreign(received)
        if not message:
            raise ConfigError(f"home_assistant.url: {self._place} is not Home Assistant")
        return message

    @property
    def _place(self) -> str:
        return self._url.partition("://")[2].partition("/")[0]


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def websocket_url(url: str) -> str:
    """Return the websocket URL of a Home Assistant, from the URL of its page."""
    return url.replace("http", "ws", 1) + API


class _PrivateResolver(Resolver):
    """Resolves names, and rejects public addresses: for unencrypted connections.

    The connection goes to exactly the addresses that were checked.
    """

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Return the addresses of a name. Raises ConfigError and OSError."""
        found = await IOLoop.current().run_in_executor(
            None, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM
        )
        addresses: list[tuple[int, Any]] = [(number, address) for number, *_, address in found]
        for _, address in addresses:
            if not is_private(address[0]):
                raise ConfigError(
                    f"home_assistant.url: {host} is {address[0]}, a public address, and the token "
                    "would be sent unencrypted: use https"
                )
        return addresses


def is_private(address: str) -> bool:
    """Return whether an IP address belongs to this machine or to a private network."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_private or found.is_loopback or found.is_link_local


def is_encrypted(url: str) -> bool:
    """Return whether a connection to this address is encrypted."""
    return urlsplit(url).scheme in {"https", "wss"}
