"""URLs of the database and of Redis: validated, and separated from their passwords."""

import re
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

EMBEDDED = "embedded"

# The last "@" ends the password, which may contain any character.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)"
    r"(?:(?P<user>[^:/@?]*)(?::(?P<password>.*))?@)?"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_SQLITE = "sqlite:///"
_POSTGRES = "postgresql+psycopg://"
# Other common spellings.
_POSTGRES_TOO = ("postgresql://", "postgres://")
_REDIS_HOSTS = ("redis://", "rediss://")
_REDIS_SOCKETS = ("unix:///", "redis+socket:///")
SENTINEL = "redis+sentinel://"
# redis+sentinel://[USER@]HOST[:PORT],HOST[:PORT],…/NAME-OF-THE-MASTER[/NUMBER]
_SENTINEL = re.compile(
    r"redis\+sentinel://(?:[^@/,]*@)?(?P<hosts>[^/@]+)/(?P<master>[^/?#]+)(?:/(?P<number>\d+))?"
)
_SENTINEL_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:,\[\]]+)(?::(?P<port>\d{1,5}))?")
_SENTINEL_PORT = 26379


def split_password(url: str) -> tuple[str, str | None]:
    """Split a URL into the URL without its password, and the password, decoded."""
    match = _URL.fullmatch(url)
    if match is None or match["password"] is None:
        return url, None
    user = f"{match['user']}@" if match["user"] else ""
    return f"{match['scheme']}{user}{match['rest']}", unquote(match["password"])


def join_password(url: str, password: str) -> str:
    """Insert a password, encoded, into a URL without one."""
    match = _URL.fullmatch(url)
    if match is None or not password:
        return url
    user = match["user"] or ""
    return f"{match['scheme']}{user}:{quote(password, safe='')}@{match['rest']}"


def check_database(url: str) -> str:
    """Return a valid database URL, with our driver for PostgreSQL.

    Raises ValueError; its text never contains the URL.
    """
    if url.startswith(_SQLITE):
        return _check_sqlite(url)
    for short in _POSTGRES_TOO:
        if url.startswith(short):
            url = _POSTGRES + url.removeprefix(short)
    if not url.startswith(_POSTGRES):
        raise ValueError(f"must start with {_SQLITE} or {_POSTGRES}")
    return _check_host(url)


def check_cloud(url: str) -> str:
    """Return a valid cloud URL, or the empty one. Raises ValueError.

    Without TLS, keys would be sent in plain text, so plain HTTP is for this machine only.
    """
    parts = _parts(url)
    here = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    if url and not (parts.hostname and (parts.scheme == "https" or here)):
        raise ValueError("must start with https:// and name a host")
    return url.rstrip("/")


def check_home_assistant(url: str) -> str:
    """Return a valid Home Assistant address. Raises ValueError; its text never contains it.

    Whether a name resolves to a private address is checked on connecting.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    parts = _parts(_check_host(url))
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError("must be only a scheme, a host and a port")
    return url.rstrip("/")


def check_redis(url: str) -> str:
    """Return a valid Redis URL. Raises ValueError; its text never contains the URL."""
    if url == EMBEDDED:
        return url
    if url.startswith(_REDIS_SOCKETS):
        return _check_options(_check_secret_free(url), "db", "virtual_host")
    if url.startswith(SENTINEL):
        _check_options(_check_secret_free(url))
        sentinels(url)
        return url
    if not url.startswith(_REDIS_HOSTS):
        starts = ", ".join((*_REDIS_HOSTS, *_REDIS_SOCKETS, SENTINEL))
        raise ValueError(f'must be "{EMBEDDED}" or start with one of {starts}')
    number = _parts(url).path.strip("/")
    if number and not number.isdecimal():
        raise ValueError("must end with the number of a database, such as /0")
    return _check_options(_check_host(url))


def _check_options(url: str, *known: str) -> str:
    """Reject options: the three Redis clients used here would interpret them differently."""
    for option, values in parse_qs(url.partition("?")[2], keep_blank_values=True).items():
        if option not in known:
            raise ValueError(
                f"must not have the option {option}: remove it, timeouts are set anyway"
            )
        if not all(value.isdecimal() for value in values):
            raise ValueError(f"has an option {option} that is not a database number")
    return url


def sentinels(url: str) -> tuple[tuple[tuple[str, int], ...], str, str]:
    """Parse a Sentinel URL: hosts and ports, the master's name and a plain Redis URL.

    The plain URL has user and database number; its host is a placeholder. Raises ValueError.
    """
    match = _SENTINEL.fullmatch(url)
    parts = [_SENTINEL_HOST.fullmatch(host) for host in match["hosts"].split(",")] if match else []
    if match is None or not all(parts):
        raise ValueError(f"must be {SENTINEL}HOST:PORT,HOST:PORT/NAME-OF-THE-MASTER/0")
    hosts = tuple(
        (part["host"].strip("[]"), int(part["port"] or _SENTINEL_PORT)) for part in parts if part
    )
    # Not with urllib, which rejects several hosts.
    named = _URL.fullmatch(url)
    user = named["user"] if named else None
    return hosts, match["master"], f"redis://{f'{user}@' if user else ''}/{match['number'] or 0}"


def sqlite_file(url: str) -> str | None:
    """Return the file of an SQLite URL, None for another database."""
    return url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else None


def sqlite_url(file: str) -> str:
    """Return the SQLite URL of a file, unescaped: no character has a special meaning."""
    return f"{_SQLITE}{file}"


def for_redis(url: str) -> str:
    """Return a Redis URL as redis-py expects it: Celery calls a socket `redis+socket://`."""
    return url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)


def _check_sqlite(url: str) -> str:
    file = sqlite_file(url)
    if not file or file == ":memory:" or file.startswith("file:"):
        raise ValueError(f"must name a database file, such as {_SQLITE}esquirell.db")
    if "?" in file:
        raise ValueError(f"must not have options: write {_SQLITE} and a path")
    return url


def _check_host(url: str) -> str:
    if not _parts(url).hostname:
        raise ValueError("must name a host")
    return _check_secret_free(url)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("has an invalid host or port") from None
    return parts


def _check_secret_free(url: str) -> str:
    if split_password(url)[1] is not None or "password" in parse_qs(url.partition("?")[2]):
        raise ValueError("must not contain a password as an option: set password instead")
    return url
