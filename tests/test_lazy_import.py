"""A module that is imported in any case loads when it is first used."""

import subprocess
import sys
from types import ModuleType

import pytest

from esquirell.lazy_import import lazy_import, missing

NAME = "this"


@pytest.fixture(autouse=True)
def _not_loaded() -> None:
    """`this` prints when it loads, once."""
    sys.modules.pop(NAME, None)


def imported() -> ModuleType:
    with lazy_import(NAME):
        import this  # noqa: PLC0415 - this is what is tried
    return this


def test_nothing_is_loaded_before_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    imported()
    assert not capsys.readouterr().out
    assert NAME not in sys.modules


def test_first_use_loads_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert imported().d["A"] == "N"
    assert "Tim Peters" in capsys.readouterr().out
    assert sys.modules[NAME].d["A"] == "N"


def test_it_can_be_used_at_once() -> None:
    with lazy_import(NAME):
        from this import d  # noqa: PLC0415 - this is what is tried
    assert d["A"] == "N"


def test_a_module_that_is_loaded_stays() -> None:
    known = sys.modules[NAME] = ModuleType(NAME)
    assert imported() is known
    assert sys.modules[NAME] is known


def test_a_missing_module_is_an_error_on_first_use() -> None:
    with lazy_import("no_such_module"):
        module = sys.modules["no_such_module"]
    with pytest.raises(ModuleNotFoundError):
        _ = module.anything


def test_a_module_that_is_to_be_missing_can_be_imported_afterwards() -> None:
    with missing(NAME), pytest.raises(ImportError):
        import this  # noqa: PLC0415 - this is what is tried
    import this  # noqa: PLC0415

    assert this.d["A"] == "N"


def test_a_module_inside_a_package_is_imported_without_it() -> None:
    """A package may import what lies in the one that is deferred: redis-py does."""
    program = """
import sys
from esquirell.lazy_import import lazy_import
with lazy_import("xml.sax"):
    from xml.sax.handler import ContentHandler
assert "xml.sax" not in sys.modules
import xml.sax
assert xml.sax.parseString
from xml.sax.handler import ContentHandler as same
assert same is ContentHandler
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_module_of_a_package_is_found_by_its_full_name() -> None:
    program = """
import sys, xml
from esquirell.lazy_import import lazy_import
with lazy_import("xml.sax"):
    import xml.sax
assert "xml.sax" not in sys.modules
assert xml.sax.parseString
assert xml.sax is sys.modules["xml.sax"]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_service_loads_nothing_that_it_does_not_use() -> None:
    program = """
import sys
import esquirell.cli.run, esquirell.daemon.roles, esquirell.tasks
rare = {"urllib.request", "click.shell_completion", "sqlalchemy.dialects.sqlite.aiosqlite"}
rare |= {"cffi", "colorama", "http.client", "tornado", "esquirell.tuya.cloud.cloud"}
rare |= {"esquirell.storage.corrections.store"}
assert rare.isdisjoint(sys.modules), rare & set(sys.modules)
import paho.mqtt.client
assert paho.mqtt.client.urllib.request.getproxies() is not None
from sqlalchemy.dialects.sqlite import aiosqlite
assert aiosqlite.dialect.is_async
from billiard.util import get_pdeathsig
assert get_pdeathsig() == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_redis_is_loaded_without_its_clients_for_asyncio() -> None:
    program = """
import sys
import esquirell.beat.scheduler, esquirell.broker.transport, esquirell.runtime.shared
loaded = {name for name in sys.modules if name.startswith("redis.asyncio")}
# What its commands take from there.
assert loaded == {"redis.asyncio.observability", "redis.asyncio.observability.recorder"}, loaded
import redis
assert redis.asyncio.Redis is not redis.Redis
assert redis.asyncio.Redis.from_url("redis://127.0.0.1:1").ping
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_what_recognises_a_meter_is_not_loaded_for_profiles_that_are_configured() -> None:
    program = """
import sys
from esquirell.domain.meter import Meter
import esquirell.daemon.process, esquirell.runtime.root, esquirell.web.server
from esquirell.profiles import Choices
meter = Meter(name="main", device_id="a", local_key="0123456789abcdef", profile="plug")
assert Choices().decode(meter, {"18": 100, "19": 230, "20": 2300}).values["voltage"] == 230
rare = {"esquirell.domain.inference", "esquirell.domain.recognition", "tarfile"}
rare |= {"esquirell.services.backfill", "esquirell.storage.maintenance.archive"}
assert rare.isdisjoint(sys.modules), rare & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_requests_is_not_loaded_with_the_meters() -> None:
    program = """
import sys
import esquirell.tuya.cloud.api, esquirell.tuya.transport, tinytuya
assert "requests" not in sys.modules
assert sys.modules["tinytuya.Cloud"].requests.codes.ok == 200
import requests
assert requests.Session
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
