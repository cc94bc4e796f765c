"""The page in a process of its own, below a path, in Home Assistant, on a port that is taken."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from support.cli import Said, esquirell_process
from support.mosquitto import Mosquitto
from support.page import PASSWORD, Browser, await_page
from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter
from esquirell.web.formats import MINUS
from esquirell.web.server import INGRESS_PORT


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path, redis: RedisProcess, device: SimulatedMeter) -> Iterator[Start]:
    """Start a role with these lines in [web]; end it after the test."""
    started: list[Service] = []

    def start(role: str, *web: str, mqtt_port: int = 1, **environment: str) -> Service:
        table = meter_table("main", device.port)
        config = configuration([table], mqtt_port=mqtt_port, redis_url=redis.url)
        service = Service(
            tmp_path, config.replace("web.port = 0", "\n".join(web) or "web.port = 0"), role, role
        )
        service.environment |= environment
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.kill()


def call(service: Service, *words: str) -> Said:
    return esquirell_process("--config", str(service.config), *words)


def age_of(browser: Browser) -> float:
    """Wait for a reading that comes live; return how old it is, in seconds."""
    with browser.events("/live") as events:
        first = next(events)["main.age"]
        for news in events:
            if (age := news.get("main.age", first)) != first:
                return time.time() - datetime.fromisoformat(age).timestamp()
    raise AssertionError("no reading came")


def test_the_page_alone_is_live_through_mqtt(tmp_path: Path, start: Start) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    port = free_port()
    web = (f"web.port = {port}", f'web.password = "{PASSWORD}"')
    try:
        run = start("run", "web.port = 0", mqtt_port=broker.port)
        eventually(lambda: run.readings() > 1, what=lambda: run.log)
        alone = start("web", *web, mqtt_port=broker.port)
        browser = await_page(port)
        browser.log_in()
        assert f"{MINUS}484 W" in browser.get("/").words
        assert age_of(browser) < 1.5
        assert call(alone, "health", "web").code == 0
        reply = browser.post("/meters/main", {"command": "fetch", "place": "meter"})
        assert "Accepted" in reply.words
        assert alone.stop() == 0
    finally:
        broker.stop()


def test_without_a_broker_the_page_alone_looks_into_the_database(start: Start) -> None:
    port = free_port()
    run = start("run", "web.port = 0")
    eventually(lambda: run.readings() > 1, what=lambda: run.log)
    start("web", f"web.port = {port}", f'web.password = "{PASSWORD}"')
    browser = await_page(port)
    browser.log_in()
    assert age_of(browser) < 10


def test_a_port_that_is_taken_is_a_warning_and_polls_go_on(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start("run", f"web.port = {port}")
        eventually(lambda: service.readings() > 2, what=lambda: service.log)
        assert f"the page can't listen on 127.0.0.1:{port}" in service.log
        assert "change address or port in [web]" in service.log
        assert service.stop() == 0


def test_without_a_page_nothing_of_it_is_loaded(start: Start) -> None:
    service = start("run", "web.port = 0")
    eventually(lambda: service.readings() > 0, what=lambda: service.log)
    assert service.process is not None
    maps = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "tornado" not in maps
    assert "the page" not in service.log


def test_the_log_in_form_names_the_command_as_this_user_types_it(start: Start) -> None:
    port = free_port()
    start("run", f"web.port = {port}", ESQUIRELL_PROGRAM="docker compose exec worker esquirell")
    form = await_page(port).get("/login").text
    assert "<code>docker compose exec worker esquirell web password</code>" in form


def test_the_password_is_made_once_and_another_one_ends_every_session(start: Start) -> None:
    port = free_port()
    service = start("run", f"web.port = {port}")
    browser = await_page(port)
    shown = call(service, "web", "password", "--json").json
    assert shown["url"] == f"http://127.0.0.1:{port}/"
    file = service.folder / "data" / "web-password"
    assert file.read_text().strip() == shown["password"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(shown["password"]) >= 16
    assert browser.log_in(shown["password"]).status == 302
    assert browser.get("/").status == 200
    file.write_text("another-pass-word\n")
    assert browser.get("/").status == 302
    assert Browser(port).log_in(shown["password"]).status == 403
    assert Browser(port).log_in("another-pass-word").status == 302
    assert shown["password"] not in service.log


def test_below_a_path_every_link_stays_below_it(start: Start) -> None:
    port = free_port()
    lines = (f"web.port = {port}", 'web.base_path = "/energy/"', f'web.password = "{PASSWORD}"')
    start("run", *lines)
    await_page(port, "/energy")
    browser = Browser(port, "/energy")
    login = browser.post("/login", {"password": PASSWORD, "_xsrf": token(browser)})
    assert login.headers["Location"] == "/energy/"
    assert all("Path=/energy/" in one for one in browser.set_cookies)
    for path in ("/", "/meters", "/meters/main", "/schedules", "/log", "/system", "/add"):
        text = browser.get(path).text
        for kind in ("href", "src", "action", "data-live", "data-preview"):
            for link in text.split(f'{kind}="')[1:]:
                target = link.partition('"')[0]
                assert target.startswith(("/energy/", "#")), target
    # What a proxy has taken off is not missed.
    assert Browser(port).get("/login").status == 200
    assert Browser(port).get("/energyx/login").status == 302
    assert browser.get("/api/v1/openapi.json").json["servers"] == [{"url": "/energy/api/v1"}]


def token(browser: Browser) -> str:
    return browser.get("/login").text.partition('name="_xsrf" value="')[2].partition('"')[0]


def test_in_home_assistant_only_the_supervisor_is_answered(start: Start) -> None:
    port = free_port()
    service = start(
        "run", f"web.port = {port}", f'web.password = "{PASSWORD}"', SUPERVISOR_TOKEN="supervisor"
    )
    await_page(port)
    eventually(lambda: str(INGRESS_PORT) in service.log, what=lambda: service.log)
    ingress = Browser(INGRESS_PORT)
    for path in ("/", "/login", "/static/style.css", "/api/v1/health", "/nothing"):
        reply = ingress.get(path, X_Ingress_Path="/api/hassio_ingress/x")
        assert reply.status == 403
        assert "Whole house" not in reply.text
        assert "meters/main" not in reply.text
