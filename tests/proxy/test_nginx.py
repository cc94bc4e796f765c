"""The nginx configurations of the documentation, in a real nginx before the page and Flower.

`make proxy` runs it; needs nginx (Debian: nginx-light).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.docs import blocks
from support.flower_pages import PASSWORD as FLOWER_PASSWORD
from support.flower_pages import Pages
from support.page import PASSWORD, Browser, await_page
from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import LIMIT_S, eventually

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
HOST = "home.example.org"
BLOCKS = {block.page.name: block.text for block in blocks("nginx")}
SERVER = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        server_name {host};
        {locations}
    }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx; `make proxy` runs it")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Start the page, Flower, and nginx before both; yield nginx's port."""
    folder = tmp_path_factory.mktemp("proxy")
    page, flower, port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        device = simulated()
        stack.callback(device.stop)
        lines = (
            f'web.port = {page}\nweb.password = "{PASSWORD}"\nweb.proxy = "127.0.0.1"',
            f'web.base_path = "/energy"\nweb.hosts = ["{HOST}"]',
            f'flower.port = {flower}\nflower.password = "{FLOWER_PASSWORD}"',
            'flower.url_prefix = "/flower"',
        )
        config = configuration([meter_table("main", device.port)], mqtt_port=1, redis_url=redis.url)
        for role in ("run", "flower"):
            service = Service(
                folder, config.replace("web.port = 0", "\n".join(lines)), role, name=role
            )
            service.start()
            stack.callback(service.kill)
        await_page(page, "/energy")
        eventually(lambda: "up as flower" in service.log, LIMIT_S, what=lambda: service.log)
        locations = "\n".join(BLOCKS.values()).replace(":8155", f":{page}")
        file = folder / "nginx.conf"
        file.write_text(
            SERVER.format(
                folder=folder,
                port=port,
                host=HOST,
                locations=locations.replace(":5555", f":{flower}"),
            )
        )
        tested = subprocess.run(
            [str(NGINX), "-t", "-e", "stderr", "-c", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert tested.returncode == 0, tested.stderr
        process = subprocess.Popen([str(NGINX), "-e", "stderr", "-c", str(file)])
        stack.callback(process.wait, LIMIT_S)
        stack.callback(process.terminate)
        await_page(port, "/energy")
        yield port


def test_the_documentation_has_both() -> None:
    assert sorted(BLOCKS) == ["flower.md", "page.md"]


def test_the_page_works_behind_it(proxy: int) -> None:
    browser = Browser(proxy, "/energy")
    token = browser.get("/login", Host=HOST).text.partition('name="_xsrf" value="')[2]
    login = browser.post(
        "/login", {"password": PASSWORD, "_xsrf": token.partition('"')[0]}, Host=HOST
    )
    assert (login.status, login.headers["Location"]) == (302, "/energy/")
    assert browser.get("/", Host=HOST).status == 200
    assert browser.get("/static/style.css", Host=HOST).status == 200
    with browser.events("/live", Host=HOST) as events:
        assert next(events), "live updates are not held back"


def test_another_name_is_not_answered(proxy: int) -> None:
    assert Browser(proxy, "/energy").get("/login", Host="other.example.org").status == 421


def test_flower_works_behind_it(proxy: int) -> None:
    pages = Pages(proxy, "/flower", FLOWER_PASSWORD)
    assert 'href="/flower/tasks"' in pages.get("/").text
    assert Pages(proxy, "/flower", "").get("/").status == 401
    name = pages.await_worker()
    grown = pages.post(f"/api/worker/pool/grow/{name}", n=1)
    assert grown.status != 403, "changes are not taken for those of another site"
