"""How to reach the broker."""

import ssl
from dataclasses import field
from pathlib import Path
from typing import Literal

from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record


@record
class Timeouts:
    """For how long a connection waits, in seconds.

    Between attempts to connect it is `shortest_s` at first, twice as long each time, and
    `longest_s` in the end; `standby_s` while another bridge is connected. A broker that has not
    answered after `answer_s` is given up.
    """

    shortest_s: float = 1.0
    longest_s: float = 15.0
    standby_s: float = 10.0
    answer_s: float = 10.0


@record
class Options:
    """The broker and how to connect to it.

    `session_expiry` is in seconds: for this long the broker keeps subscriptions and messages for
    this client while it is disconnected (with 3.1.1 forever); it needs a `client_id`. At 0, and
    with `fresh`, it forgets them when the connection opens. `keepalive` is in seconds as well:
    twice that without a sign of the broker ends the connection.
    """

    host: str = "localhost"
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = ""
    keepalive: int = 30
    session_expiry: int = 0
    fresh: bool = False
    waits: Timeouts = Timeouts()

    @property
    def starts_afresh(self) -> bool:
        """Whether the broker is to forget what it kept for this client."""
        return self.fresh or self.session_expiry == 0

    @property
    def where(self) -> str:
        """The broker as sentences refer to it."""
        return f"the MQTT broker at {self.host}:{self.port}"


@record
class Will:
    """The retained state that a connection leaves behind when it ends, however it ends."""

    topic: str
    payload: dict[str, object]


def tls_context(options: Options) -> ssl.SSLContext | None:
    """Load the certificates; None without TLS.

    Raises ConfigError when a file can't be used.
    """
    if not options.tls:
        return None
    context = _trusting(options.ca_file)
    if options.cert_file:
        _show_certificate(context, options.cert_file, options.key_file)
    return context


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"ca_file {ca_file} in [mqtt] can't be used: {_why(error)}") from error
    if ca_file:
        # Python 3.13 began to reject what home-made authorities often leave out (RFC 5280).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _show_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    try:
        # An empty password makes OpenSSL reject an encrypted key instead of asking at a terminal.
        context.load_cert_chain(cert_file, key_file, password="")
    except OSError as error:
        raise ConfigError(
            f"cert_file {cert_file} and key_file {key_file or cert_file} in [mqtt] "
            f"can't be used: {_why(error)}"
        ) from error


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "it contains no matching certificate or key in PEM format, or the key has a password"
    return error.strerror or "it can't be read"
