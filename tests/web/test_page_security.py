"""Who gets in, and what a browser may do: against a running service."""

import json
import re
import socket
import time
from collections import Counter
from contextlib import ExitStack
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import quote, urlencode

import pytest
from support.page import PASSWORD, Browser
from support.page_house import KEY, LABEL, House
from support.waiting import LIMIT_S, eventually

PAGES = ("/", "/meters", "/meters/main", "/schedules", "/schedules/preview?cron=x", "/live")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_log_in_a_page_sends_to_it(house: House, path: str) -> None:
    reply = house.stranger().get(path)
    assert reply.status == 302
    assert reply.headers["Location"].startswith("/login")
    assert "main" not in reply.text


def test_unknown_pages_are_refused_without_a_login(house: House) -> None:
    stranger = house.stranger()
    reply = stranger.post("/schedules", {"command": "schedule/remove", "name": "fetch"})
    assert reply.status == 401
    assert stranger.get("/nothing").status == 302
    assert "fetch" in house.browser().get("/schedules").words


def test_the_cookie_of_a_session_is_for_this_page_alone(house: House) -> None:
    stranger = house.stranger()
    assert stranger.log_in().status == 302
    (line,) = [one for one in stranger.set_cookies if one.startswith("esquirell_session")]
    morsel = SimpleCookie(line)["esquirell_session"]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert morsel["path"] == "/"
    assert not morsel["secure"]


def test_behind_tls_cookies_are_secure(house: House) -> None:
    proxied = house.stranger("127.0.0.9")
    proxied.post("/login", {"password": PASSWORD}, X_Forwarded_Proto="https")
    assert all("secure" in line.lower() for line in proxied.set_cookies)
    assert proxied.set_cookies
    direct = house.stranger()
    direct.post("/login", {"password": PASSWORD}, X_Forwarded_Proto="https")
    assert not any("secure" in line.lower() for line in direct.set_cookies)


def test_an_expired_session_asks_for_the_password_and_keeps_the_address(house: House) -> None:
    bookmark = "/history?show=power&span=week&meter=main"
    stranger = house.stranger()
    assert "ended" not in stranger.get(bookmark).headers["Location"]
    ended = house.browser()
    ended.cookies["esquirell_session"] = "of another key"
    location = ended.get(bookmark).headers["Location"]
    page = ended.get(location)
    assert "Your session has ended" in page.words
    fields = dict(re.findall(r'name="(next|_xsrf)" value="([^"]+)"', page.text))
    fields = {name: unescape(value) for name, value in fields.items()}
    assert fields["next"] == bookmark[1:]
    again = ended.post("/login", fields | {"password": PASSWORD})
    assert again.headers["Location"] == bookmark


def test_five_wrong_passwords_a_minute_are_enough(house: House) -> None:
    stranger = house.stranger("127.0.0.5")
    token = stranger.token
    wrong = [stranger.post("/login", {"password": "no", "_xsrf": token}) for _ in range(5)]
    assert [one.status for one in wrong] == [403, 403, 403, 403, 429]
    right = stranger.post("/login", {"password": PASSWORD, "_xsrf": token})
    assert right.status == 429
    assert 0 < int(right.headers["Retry-After"]) <= 60
    assert house.stranger().log_in().status == 302
    assert "no" not in house.service.log.split("127.0.0.5")[0][-40:]


def test_guesses_that_come_at_once_count_like_others(house: House) -> None:
    source = ("127.0.0.8", 0)
    stranger = house.stranger(source[0])
    token = stranger.token
    cookie = "; ".join(f"{name}={value}" for name, value in stranger.cookies.items())

    body = urlencode({"_xsrf": token, "password": "no"})
    head = (
        f"POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    guess = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    place = ("127.0.0.1", house.port)
    with ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection(place, LIMIT_S, source_address=source))
            for _ in range(100)
        ]
        for line in lines:
            line.sendall(guess)
        answers = Counter(line.recv(12) for line in lines)
    assert answers == {b"HTTP/1.1 403": 4, b"HTTP/1.1 429": 96}


def test_a_proxy_says_whose_passwords_are_wrong(house: House) -> None:
    proxied = house.stranger("127.0.0.9")
    token = proxied.token

    def attempt(address: str) -> int:
        fields = {"password": "no", "_xsrf": token}
        reply = proxied.post("/login", fields, X_Forwarded_For=f"10.0.0.1, {address}")
        return reply.status

    assert [attempt("192.0.2.1") for _ in range(6)][-1] == 429
    assert attempt("192.0.2.2") == 403
    # Of anybody else the header says nothing.
    liar = house.stranger("127.0.0.6")
    token = liar.token
    said = [
        liar.post("/login", {"password": "no", "_xsrf": token}, X_Forwarded_For=f"192.0.2.{one}")
        for one in range(10, 16)
    ]
    assert said[-1].status == 429


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8155", 200),
        ("[::1]:8155", 200),
        ("192.168.1.9", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com:80", 421),
        ("", 421),
    ],
)
def test_an_unknown_host_is_refused(house: House, host: str, status: int) -> None:
    assert house.stranger().get("/login", Host=host).status == status
    assert house.stranger().get("/static/style.css", Host=host).status == status


def test_another_host_than_the_one_of_the_page_is_known_through_the_proxy_alone(
    house: House,
) -> None:
    proxied = house.stranger("127.0.0.9")
    assert proxied.get("/login", X_Forwarded_Host="evil.example.com").status == 421
    assert house.stranger().get("/login", X_Forwarded_Host="evil.example.com").status == 200


def test_a_change_needs_the_token_of_a_page(house: House) -> None:
    browser = house.browser()
    fields = {"command": "schedule/disable", "name": "fetch", "_xsrf": ""}
    assert browser.post("/schedules", fields).status == 403
    other = house.browser()
    forged = browser.post("/schedules", fields | {"_xsrf": other.token})
    assert forged.status == 403
    assert "paused" not in browser.get("/schedules").words


def test_a_cookie_that_another_service_of_this_host_has_set_makes_no_token(house: House) -> None:
    victim, thief = house.browser(), house.stranger()
    token = thief.token
    victim.cookies["esquirell_xsrf"] = thief.cookies["esquirell_xsrf"]
    fields = {"command": "schedule/disable", "name": "fetch", "_xsrf": token}
    assert victim.post("/schedules", fields).status == 403


def test_a_log_in_that_was_open_while_another_tab_logged_in_still_works(house: House) -> None:
    browser = house.stranger()
    token = browser.token
    browser.log_in()
    assert browser.post("/login", {"password": PASSWORD, "_xsrf": token}).status == 302


def test_a_session_that_was_ended_is_refused(house: House) -> None:
    browser = house.browser()
    stolen = Browser(house.port)
    stolen.cookies = dict(browser.cookies)
    assert stolen.get("/").status == 200
    browser.post("/logout", {})
    assert browser.get("/").status == 302
    assert stolen.get("/").status == 302


def test_a_page_that_is_open_shows_nothing_more_after_its_session_has_ended(house: House) -> None:
    browser = house.browser()
    with browser.events("/live") as events:
        next(events)
        browser.post("/logout", {})
        ends_at = time.monotonic() + LIMIT_S
        for _ in events:
            assert time.monotonic() < ends_at


def test_a_log_in_begins_a_new_session(house: House) -> None:
    attacker = house.browser()
    victim = house.stranger()
    token = victim.token
    victim.cookies["esquirell_session"] = attacker.cookies["esquirell_session"]
    assert victim.post("/login", {"password": PASSWORD, "_xsrf": token}).status == 302
    mine, theirs = (one.cookies["esquirell_session"] for one in (victim, attacker))
    assert mine != theirs
    # Each ends its own session, and not the other one's.
    victim.post("/logout", {})
    assert attacker.get("/").status == 200
    assert victim.get("/").status == 302


@pytest.mark.parametrize(
    "path", ["/", "/history", "/meters", "/history?show=power", "/log", "/add"]
)
def test_a_label_that_is_html_is_text_on_every_page(house: House, path: str) -> None:
    assert LABEL not in house.browser().get(path).text


@pytest.mark.parametrize(
    "path",
    [
        "/history.csv?show=power%0d%0aX-Evil:1",
        "/history.csv?at=%0d%0aX-Evil:1&span=range&until=%0d%0aX-Evil:1",
        "/log?last=%0d%0aX-Evil:1",
        "/login?next=%0d%0aX-Evil:1",
        "/meters?q=%0d%0aX-Evil:1&removed=%0d%0aX-Evil:1",
    ],
)
def test_no_header_is_made_of_what_an_address_says(house: House, path: str) -> None:
    for browser in (house.browser(), house.stranger()):
        assert browser.get(path).headers["X-Evil"] is None


def test_a_forged_session_is_refused(house: House) -> None:
    browser = house.browser()
    cookie = browser.cookies["esquirell_session"]
    for forged in ("", "1", cookie[:-1], cookie[:-4] + "0000", cookie.replace("|", ":")):
        stranger = house.stranger()
        stranger.cookies["esquirell_session"] = forged
        assert stranger.get("/").status == 302


@pytest.mark.parametrize("path", ["/login", "/", "/meters/main", "/nothing", "/static/style.css"])
def test_headers_forbid_embedding_and_foreign_scripts(house: House, path: str) -> None:
    headers = house.browser().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "esquirell"


def test_pages_hold_no_script_and_no_style_of_their_own(house: House) -> None:
    browser = house.browser()
    for path in ("/", "/meters", "/meters/main", "/schedules"):
        text = browser.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert text.count("<script") == text.count('src="/static/app.js')
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text


def test_the_way_back_after_a_log_in_stays_inside(house: House) -> None:
    for target in (
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil",
        "javascript:alert(1)",
    ):
        stranger = house.stranger()
        reply = stranger.post("/login", {"password": PASSWORD, "next": target})
        assert reply.headers["Location"] == "/"
    stranger = house.stranger()
    reply = stranger.post("/login", {"password": PASSWORD, "next": "meters/main"})
    assert reply.headers["Location"] == "/meters/main"


def test_what_people_and_devices_say_is_text(house: House) -> None:
    browser = house.browser()
    for path in ("/", "/meters", "/meters/main", "/schedules"):
        text = browser.get(path).text
        assert LABEL not in text
        assert "&lt;b&gt;Main&lt;/b&gt;" in text


def test_typed_text_is_escaped(house: House) -> None:
    browser = house.browser()
    evil = '"><script>alert(1)</script>'
    fields = {
        "command": "schedule/add",
        "place": "new.",
        "name": evil,
        "rule": "cron",
        "cron": evil,
    }
    reply = browser.post("/schedules", {**fields, "timezone": evil, "args": evil, "task": evil})
    assert reply.status == 422
    assert "<script>alert" not in reply.text
    assert (
        "<script>alert" not in browser.get(f"/schedules/preview?cron={'%22%3E%3Cscript%3E'}").text
    )


LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *(("/schedules", field) for field in ("command", "place", "name", "cron", "args", "seen")),
        *(("/meters", field) for field in ("command", "place", "transaction")),
        *(("/meters/main", field) for field in ("command", "place", "label", "seen", "port")),
        *(("/add", field) for field in ("command", "place", "device", "label", "untested", "name")),
    ],
)
def test_too_long_input_is_refused_without_an_error(house: House, path: str, field: str) -> None:
    fields = {
        "command": {"/add": "meter/try", "/meters": "nothing"}.get(path, "schedule/set"),
        "place": "change",
        "name": "fetch",
        "rule": "cron",
        "seen": "12ab34cd",
    }
    if path == "/meters/main":
        fields["command"] = "meter/set"
    reply = house.browser().post(path, fields | {field: LONG})
    assert 400 <= reply.status < 500, reply.words
    assert "unexpectedly" not in house.service.log


def test_no_secret_is_on_a_page_or_in_the_log(house: House) -> None:
    browser = house.browser()
    eventually(lambda: "offline" in browser.get("/meters").words, what="the silent one is offline")
    for path in ("/", "/meters", "/meters/main", "/meters/hung", "/schedules"):
        text = browser.get(path).text
        for secret in (KEY, PASSWORD, json.dumps(KEY)[1:-1]):
            assert secret not in text
            assert secret not in house.service.log


@pytest.mark.parametrize("number", ["9" * 5000, "٣", "1e3", "-1", "0x10"])
def test_an_invalid_number_is_refused_beside_its_field(house: House, number: str) -> None:
    browser = house.browser()
    assert browser.get(f"/log?last={quote(number)}").status == 200
    fields = {"command": "schedule/set", "name": "fetch", "place": "fetch", "rule": "every"}
    for typed in ({"every": number}, {"every": "1", "unit": number}):
        reply = browser.post("/schedules", fields | typed)
        assert (reply.status, "must be a whole number" in reply.words) == (422, True)
    reply = browser.post("/add", {"command": "meter/try", "place": "form", "port": number})
    assert (reply.status, "must be a whole number" in reply.words) == (422, True)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../credentials.py",
        "/static/%2e%2e/server.py",
        "/static/app.js%00",
        "/meters/..%2f..%2fetc",
    ],
)
def test_no_way_leads_out_of_the_folder(house: House, path: str) -> None:
    assert house.browser().get(path).status in {403, 404}


def test_too_much_is_refused(house: House) -> None:
    browser = house.browser()
    token = browser.token
    try:
        reply = browser.post("/schedules", {"args": "x" * 2_000_000, "_xsrf": token})
    except OSError:
        return  # the connection was closed while it was still sent
    assert reply.status in {400, 413}
