"""Who asks: attempts that are counted, Home Assistant's Supervisor, names of hosts."""

from typing import cast

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError

from esquirell.daemon.visitors import ADDRESSES, WrongAttempts
from esquirell.settings import WebSettings
from esquirell.web.gate import Gate, IngressGate


class Arrived:
    """A request as a gate sees it."""

    def __init__(self, peer: str, headers: dict[str, str]) -> None:
        self.remote_ip = peer
        self.protocol = "http"
        self.headers = HTTPHeaders({key.replace("_", "-"): one for key, one in headers.items()})
        self.host = headers.get("Host", "")


def request(peer: str, **headers: str) -> HTTPServerRequest:
    return cast("HTTPServerRequest", Arrived(peer, headers))


def test_an_address_may_try_again_after_a_minute() -> None:
    now = 0.0
    wrong = WrongAttempts(lambda: now)
    for _ in range(5):
        assert wrong.wait_s("192.0.2.1") == 0
        wrong.note("192.0.2.1")
        now += 1
    assert wrong.wait_s("192.0.2.1") == 55
    assert wrong.wait_s("192.0.2.2") == 0
    now = 60.0
    assert wrong.wait_s("192.0.2.1") == 0


def test_addresses_of_one_ipv6_network_count_together_and_memory_is_bounded() -> None:
    wrong = WrongAttempts(lambda: 0.0)
    for number in range(5):
        wrong.note(f"2001:db8::{number}")
    assert wrong.wait_s("2001:db8::ffff") == 60
    for number in range(ADDRESSES):
        wrong.note(f"10.0.{number // 250}.{number % 250}")
    assert wrong.wait_s("2001:db8::ffff") == 0


def test_ingress_is_for_the_supervisor_alone() -> None:
    gate = IngressGate()
    path = "/api/hassio_ingress/AbC-1_2"
    visit = gate.admit(request("172.30.32.2", X_Ingress_Path=path))
    assert (visit.base, visit.ingress) == (path, True)
    for peer in ("127.0.0.1", "172.30.32.1", "::ffff:172.30.32.3", ""):
        with pytest.raises(HTTPError) as refused:
            gate.admit(request(peer, X_Ingress_Path=path))
        assert refused.value.status_code == 403


@pytest.mark.parametrize(
    "path", ["//evil.example.com", '/a"><script>', "javascript:x", "/a b", "/../x"]
)
def test_ingress_refuses_an_invalid_path(path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        IngressGate().admit(request("172.30.32.2", X_Ingress_Path=path))
    assert refused.value.status_code == 400


def test_the_ingress_path_of_anybody_else_counts_for_nothing() -> None:
    visit = Gate(WebSettings()).admit(request("127.0.0.1", Host="localhost", X_Ingress_Path="/x"))
    assert (visit.base, visit.ingress) == ("", False)


def test_more_names_can_be_configured() -> None:
    gate = Gate(WebSettings(hosts=("Energy.Example.org",), base_path="energy/"))
    assert gate.admit(request("127.0.0.1", Host="energy.example.org.:443")).base == "/energy"
