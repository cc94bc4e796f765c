"""The page within Home Assistant: a real service, with the test in the Supervisor's place.

The Supervisor's address can't be had outside of Home Assistant, so the service is started with
another one; everything else is as it is there.
"""

import json
import re
from collections.abc import Iterator

import pytest
from support.ingress import PATH, App, Ingress, running_app
from support.page import PASSWORD, Browser
from support.waiting import eventually

LINK = re.compile(r'\b(?:href|src|action|data-live|data-preview)="([^"#][^"]*)"')


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture
def inside(app: App) -> Ingress:
    return Ingress(app.ingress_port)


@pytest.mark.parametrize("path", ["/", "/history", "/meters", "/schedules", "/log", "/system"])
def test_every_page_is_open_and_every_link_stays_within(inside: Ingress, path: str) -> None:
    reply = inside.get(path)
    assert reply.status == 200
    links = LINK.findall(reply.text)
    assert len(links) > 5
    assert [one for one in links if not one.startswith((f"{PATH}/", "?", "data:"))] == []
    assert PASSWORD not in reply.text
    assert "/logout" not in reply.text


def test_only_home_assistant_may_embed_the_page(inside: Ingress) -> None:
    headers = inside.get("/").headers
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]


def test_a_form_changes_something_and_needs_its_token(inside: Ingress, app: App) -> None:
    form = {"command": "schedule/disable", "name": "fetch", "place": "fetch"}
    assert inside.post("/schedules", form | {"_xsrf": "none"}).status == 403
    reply = inside.post("/schedules", form)
    assert reply.status in (200, 303), reply.words
    assert all(f"Path={PATH}/" in one for one in inside.set_cookies)
    query = "SELECT source, command FROM command_log"
    eventually(lambda: ("web", "schedule/disable") in app.rows(query))
    inside.post("/schedules", form | {"command": "schedule/enable"})


def test_the_figures_are_live(inside: Ingress) -> None:
    reply = inside.get("/api/v1/health")
    assert json.loads(reply.text)["roles"]["worker"]["alive"]


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.3"])
def test_only_the_supervisor_is_answered_there(app: App, source: str) -> None:
    for path in ("/", "/api/v1/health", "/static/style.css", "/login"):
        assert Ingress(app.ingress_port, source=source).get(path).status == 403


def test_the_supervisor_has_no_privilege_at_the_other_port(app: App) -> None:
    port = int(re.search(r"web.port = (\d+)", app.config.read_text())[1])  # type: ignore[index]
    reply = Ingress(port).get("/")
    assert reply.status == 302
    assert reply.headers["Location"] == "/login"


def test_an_invalid_path_is_refused(inside: Ingress) -> None:
    for path in ("//evil.example.com", "/a b", "javascript:x"):
        reply = Browser.ask(inside, "GET", "/", headers={"X-Ingress-Path": path})
        assert reply.status == 400
        assert path not in reply.text
