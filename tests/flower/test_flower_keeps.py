"""What Flower keeps over a restart, and what it never shows."""

import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from support.cli import esquirell_process
from support.flower_pages import LIMIT_S, House, Pages
from support.waiting import eventually


@pytest.fixture(scope="module", autouse=True)
def worker(house: House) -> None:
    service = house.start("worker", "worker")
    eventually(lambda: "up as worker" in service.log, LIMIT_S)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_password_is_made_up_shown_once_and_kept(house: House) -> None:
    file = house.folder / "data" / "flower-password"
    flower, _ = house.flower(password="")
    password = file.read_text().strip()
    assert (mode(file), len(password) >= 20) == (0o600, True)
    assert flower.log.count(password) == 1
    assert flower.process is not None
    process = Path("/proc") / str(flower.process.pid)
    told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert password.encode() not in told
    assert Pages(house.port, password=password).get("/tasks").status == 200
    assert flower.stop() == 0
    again, _ = house.flower(password="")
    assert Pages(house.port, password=password).get("/tasks").status == 200
    assert again.stop() == 0
    assert password not in again.log


def test_the_history_is_kept_bounded_and_for_its_owner(house: House) -> None:
    flower, pages = house.flower(max_tasks=100)
    first = pages.send("slow_tasks.sleep", seconds=0)
    pages.await_state(first, "SUCCESS")
    assert flower.stop() == 0
    flower, pages = house.flower(max_tasks=100)
    assert pages.task(first)["state"] == "SUCCESS"
    later = [pages.send("slow_tasks.sleep", seconds=0) for _ in range(110)]
    pages.await_state(later[-1], "SUCCESS")
    assert len(pages.tasks()) <= 100
    assert pages.task(first)["state"] is None
    assert flower.stop() == 0
    files = list((house.folder / "data" / "flower").iterdir())
    assert files
    assert {mode(file) for file in files} == {0o600}


def test_a_damaged_history_is_set_aside(house: House) -> None:
    folder = house.folder / "data" / "flower"
    for file in folder.iterdir():
        file.write_bytes(os.urandom(3000))
    flower, pages = house.flower()
    assert pages.get("/tasks").status == 200
    assert list(folder.glob("*.corrupt"))
    assert "Traceback" not in flower.log
    assert flower.stop() == 0


class Proxy(BaseHTTPRequestHandler):
    """Hands everything on below /flower, as nginx does with `location /flower/`."""

    target: Pages

    def do_GET(self) -> None:
        reply = self.target.get(self.path)
        self.send_response(reply.status)
        self.end_headers()
        self.wfile.write(reply.text.encode())

    def log_message(self, *_: object) -> None: ...


def test_a_proxy_shows_it_below_a_path(house: House) -> None:
    flower, pages = house.flower(url_prefix="/flower/")
    Proxy.target = Pages(house.port)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = Thread(target=server.serve_forever)
    thread.start()
    proxied = Pages(server.server_address[1], "/flower")
    assert 'href="/flower/tasks"' in proxied.get("/").text
    assert proxied.get("/static/js/flower.js").status == 200
    done = pages.send("slow_tasks.sleep", seconds=0)
    eventually(lambda: proxied.get(f"/api/task/info/{done}").status == 200, LIMIT_S)
    refused = pages.post("/api/task/revoke/unknown")
    assert "discarded" in refused.text
    assert Pages(house.port).get("/tasks").status == 404
    server.shutdown()
    thread.join()
    server.server_close()
    assert flower.stop() == 0


def test_metrics_are_open_only_when_asked_for(house: House) -> None:
    flower, _ = house.flower(open_metrics=True)
    stranger = Pages(house.port, password="")
    assert stranger.get("/metrics").status == 200
    assert stranger.get("/healthcheck").text == "OK"
    assert stranger.get("/tasks").status == 401
    assert flower.stop() == 0


def test_it_outlasts_its_redis_and_says_when_it_is_up(house: House) -> None:
    flower, pages = house.flower()
    config = ("--config", str(house.folder / "esquirell.toml"))
    eventually(lambda: esquirell_process(*config, "health", "flower").code == 0, LIMIT_S)
    taken = esquirell_process(*config, "flower")
    assert (taken.code, "change address or port in [flower]" in taken.err) == (2, True)
    house.redis.stop()
    eventually(lambda: "Redis does not answer" in flower.log, LIMIT_S)
    assert pages.get("/tasks").status == 200
    house.redis.start()
    eventually(lambda: "Redis works again" in flower.log, LIMIT_S)
    again = eventually(lambda: pages.get("/api/workers?refresh=1").json or None, LIMIT_S)
    assert again
    flower.signal(signal.SIGTERM)
    assert flower.wait() == 0
    assert "Traceback" not in flower.log
    assert esquirell_process(*config, "health", "flower").code == 1
