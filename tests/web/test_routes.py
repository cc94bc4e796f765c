"""Every route, and who may use it. A new one gets the strictest rules by default."""

import re
from collections.abc import Iterator
from typing import cast

import pytest
from support.page import Browser, Reply
from support.page_house import House
from tornado.routing import URLSpec

from esquirell.web.handler import Handler
from esquirell.web.routes import routes

# What people without a log-in may see: the log-in, and what it looks like.
OPEN = {"/login", "/pictures.css"}
EXAMPLES = {
    r"([a-z0-9_-]{1,64})": "main",
    r"([0-9a-f-]{36})": "00000000-0000-0000-0000-000000000000",
    r"([a-z/]+)": "schedule/list",
    r"(?:/.*)?": "",
}
UNKNOWN_METHODS = ("PUT", "DELETE", "PATCH")


def paths() -> Iterator[tuple[str, type[Handler]]]:
    for rule in routes().rules:
        spec = cast("URLSpec", rule)
        path = spec.regex.pattern.rstrip("$")
        for pattern, example in EXAMPLES.items():
            path = path.replace(pattern, example)
        assert spec.regex.fullmatch(path), f"{spec.regex.pattern}: it needs an example"
        yield path, cast("type[Handler]", spec.handler_class)


ROUTES = [pytest.param(path, handler, id=path) for path, handler in paths()]
every_route = pytest.mark.parametrize(("path", "handler"), ROUTES)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def posts(handler: type[Handler]) -> bool:
    return "post" in vars(handler) or any("post" in vars(base) for base in handler.__mro__[:-2])


@pytest.fixture(scope="module")
def browser(house: House) -> Browser:
    return house.browser()


def answers_nothing(reply: Reply) -> bool:
    """Whether neither a meter, nor a schedule, nor a folder of this machine is in an answer."""
    return not re.search(r"hung|fetch|/data|Cellar", reply.text)


@every_route
def test_without_a_log_in_nothing_is_shown(house: House, path: str, handler: type[Handler]) -> None:
    assert handler.is_open == (path in OPEN)
    reply = house.stranger().get(path)
    if path in OPEN:
        assert reply.status == 200
    elif is_api(path):
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")
    else:
        assert (reply.status, reply.headers["Location"][:6]) == (302, "/login")
    assert answers_nothing(reply)
    script = house.stranger().get(path, X_Requested_With="esquirell")
    assert script.status == (200 if path in OPEN else 401)


@every_route
@pytest.mark.parametrize("method", ["POST", *UNKNOWN_METHODS])
def test_without_a_log_in_nothing_is_changed(
    house: House, path: str, handler: type[Handler], method: str
) -> None:
    reply = house.stranger().ask(method, path, "{}")
    # At what is open something else is wrong: no token of the page, or no such method.
    expected = {403 if method == "POST" and posts(handler) else 405} if path in OPEN else {401}
    assert reply.status in expected


@every_route
def test_a_change_without_the_token_of_the_page_is_refused(
    browser: Browser, path: str, handler: type[Handler]
) -> None:
    for sent in ({"_xsrf": ""}, {"_xsrf": "2|00000000|00|0"}, {}):
        fields = "&".join(f"{name}={value}" for name, value in sent.items())
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = browser.ask("POST", path, fields, kind)
        if posts(handler):
            assert reply.status == 403
        else:
            # Of an address of the API that does not exist everything is unknown.
            assert reply.status == (404 if path == "/api" else 405)


@every_route
def test_a_method_that_is_not_there_is_named(
    browser: Browser, path: str, handler: type[Handler]
) -> None:
    if path == "/api":
        return
    allowed = browser.ask("OPTIONS", path).headers["Allow"].split(", ")
    assert ("POST" in allowed) == posts(handler)
    for method in UNKNOWN_METHODS:
        reply = browser.ask(method, path, "{}")
        assert (reply.status, reply.headers["Allow"].split(", ")) == (405, allowed)


@every_route
@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.example.com"])
def test_under_a_name_that_is_not_ours_nothing_is_answered(
    browser: Browser, path: str, handler: type[Handler], host: str
) -> None:
    del handler
    for method in ("GET", "POST"):
        reply = browser.ask(method, path, headers={"Host": host})
        assert reply.status == 421
        assert answers_nothing(reply)


@every_route
def test_headers_that_are_too_large_are_answered(
    browser: Browser, path: str, handler: type[Handler]
) -> None:
    del handler
    reply = browser.get(path, X_Large="x" * 40_000)
    assert reply.status == 431
    if is_api(path):
        assert reply.json["code"] == "too_large"


def test_only_headers_without_an_end_are_cut_off(house: House) -> None:
    assert house.stranger().get("/login", X_Large="x" * 30_000).status == 200
    with pytest.raises(OSError, match=r"."):
        house.stranger().get("/login", X_Large="x" * 4_000_000)
    assert house.stranger().get("/login").status == 200
