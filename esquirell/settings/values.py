"""Values with a syntax of their own: retention times, topics, modules, hosts."""

import ipaddress
import re
from datetime import timedelta

from pydantic import SecretStr

_RETENTION = re.compile(r"(\d{1,5})([hdw])")
_EXPIRY = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PATH = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_LEAST = timedelta(days=1)
# A proxy is in no wider network: the private ones end with 10.0.0.0/8.
_WIDEST = 8
# Leaves room below it: a topic may have 65,535 bytes (MQTT 5.0, 1.5.4).
LONGEST_TOPIC = 1000
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
SHORTEST_PAGE_PASSWORD = 8


def parse_retention(value: object) -> timedelta:
    """Parse `90d`, `36h` or `8w`, at least one day. Raises ValueError."""
    span = value if isinstance(value, timedelta) else _span(value)
    if span < _LEAST:
        raise ValueError('must be at least "1d"')
    return span


def parse_expiry(value: object) -> timedelta:
    """Parse `1h`, `30m`, `90s` or `2d`, at least one second. Raises ValueError."""
    match = _EXPIRY.fullmatch(value) if isinstance(value, str) else None
    span = value if isinstance(value, timedelta) else match and int(match[1]) * _UNITS[match[2]]
    if not span:
        raise ValueError('must be a time such as "1h", "30m" or "90s", at least "1s"')
    return span


def write_span(span: timedelta) -> str:
    """Return a time in the form it is parsed from: in its largest unit without a remainder."""
    unit = next(unit for unit in "dhms" if not span % _UNITS[unit])
    return f"{span // _UNITS[unit]}{unit}"


def check_base_topic(topic: str) -> str:
    """Return a topic that others can be appended to. Raises ValueError."""
    if not topic:
        raise ValueError("must not be empty")
    return check_prefix(topic)


def check_prefix(topic: str) -> str:
    """Return a topic that may be empty. Raises ValueError.

    MQTT 5.0, section 4.7: `+` and `#` are wildcards, a leading `$` is reserved for the broker.
    """
    if set(topic) & set("+#") or topic.startswith("$"):
        raise ValueError("must not contain + or #, or start with $")
    if not topic.isprintable():
        raise ValueError("may contain only printable characters")
    if len(topic.encode()) > LONGEST_TOPIC:
        raise ValueError(f"may have at most {LONGEST_TOPIC} bytes")
    if topic.startswith("/") or topic.endswith("/") or "//" in topic:
        raise ValueError("must not start or end with /, or contain an empty level")
    return topic


def check_module(name: str) -> str:
    """Return the dotted name of a Python module. Raises ValueError."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError('must be names of Python modules, such as "my_house.tasks"')
    return name


def check_user(name: str) -> str:
    """Return a user name for HTTP Basic. Raises ValueError.

    RFC 7617: a colon ends the name; beyond ASCII, browsers do not agree on the encoding.
    """
    if not name or ":" in name or not _sendable(name):
        raise ValueError("must be a name in ASCII without a colon")
    return name


def check_sendable(secret: SecretStr) -> SecretStr:
    """Return a password for HTTP Basic. Raises ValueError."""
    if not _sendable(secret.get_secret_value()):
        raise ValueError("must be ASCII: browsers do not agree on how to send anything else")
    return secret


def check_url_prefix(path: str) -> str:
    """Return the path below which a web page is served, without outer slashes.

    Raises ValueError.
    """
    path = path.strip("/")
    if path and not _PATH.fullmatch(path):
        raise ValueError('must be a path such as "/flower", of letters, digits and . _ - ~ /')
    return path


def check_base_path(path: str) -> str:
    """Return the path below which the page is served, as `/energy`, or "". Raises ValueError."""
    stripped = check_url_prefix(path)
    return f"/{stripped}" if stripped else ""


def check_network(text: str) -> str:
    """Return an IP address or network; "" for none. Raises ValueError."""
    if text:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError('must be an IP address such as "192.168.1.2", or a network') from None
        if network.network_address.is_unspecified or network.prefixlen < _WIDEST:
            raise ValueError("must be the proxy's address: anybody in there could say who asks")
    return text


def check_host(name: str) -> str:
    """Return a host name in lower case. Raises ValueError for anything else, such as a URL."""
    name = name.lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError('must be names such as "energy.example.org", without http:// and port')
    return name


def check_page_password(secret: SecretStr) -> SecretStr:
    """Return a password that is long enough for a page on a network. Raises ValueError."""
    if 0 < len(secret.get_secret_value()) < SHORTEST_PAGE_PASSWORD:
        raise ValueError(f"must have at least {SHORTEST_PAGE_PASSWORD} characters")
    return secret


def _sendable(text: str) -> bool:
    return text.isascii() and (not text or text.isprintable())


def _span(value: object) -> timedelta:
    match = _RETENTION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('must be a time such as "90d", "36h" or "8w"')
    return int(match[1]) * _UNITS[match[2]]
