"""A service with its page, in front of real devices."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.page import PASSWORD, Browser, await_page
from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import PLAIN, Service, configuration, meter_table, simulated
from support.tuya_devices import FakeDevice, say_nothing
from support.waiting import eventually

KEY = "k3y$#='(0123;\"ab"
LABEL = '<b>Main</b> & "co" \''


@dataclass
class House:
    """A service with its page: one meter that answers, one that does not."""

    service: Service
    port: int
    redis: RedisProcess

    def browser(self) -> Browser:
        """Return a browser that is logged in."""
        browser = Browser(self.port)
        assert browser.log_in().status == 302
        return browser

    def stranger(self, source: str = "127.0.0.1") -> Browser:
        """Return a browser that is not."""
        return Browser(self.port, source=source)


@contextmanager
def running_house(
    folder: Path, account: str = "", program: Sequence[str] = PLAIN
) -> Iterator[House]:
    """Run a house; `account` is the [cloud] of its configuration, or another part of it."""
    redis = RedisProcess(folder)
    redis.start()
    port = free_port()
    meter = simulated("main")
    with FakeDevice(say_nothing) as silent:
        main = meter_table("main", meter.port) + f"\nlabel = {json.dumps(LABEL)}\narea = 'Cellar'"
        hung = meter_table("hung", silent.port, KEY).replace(f"'{KEY}'", json.dumps(KEY))
        config = configuration([main, hung, account], mqtt_port=1, redis_url=redis.url)
        config = config.replace(
            "web.port = 0",
            f'web.port = {port}\nweb.password = "{PASSWORD}"\nweb.proxy = "127.0.0.9"',
        )
        service = Service(folder, config, program=program)
        service.start()
        await_page(port)
        eventually(lambda: service.readings() > 0, what="a reading is stored")
        yield House(service, port, redis)
        service.kill()
    meter.stop()
    redis.stop()
