"""The processes of a forking pool."""

from pathlib import Path

from celery import Celery
from support.configuration import METER, ConfigurationFolder

from esquirell.daemon.pools import runtime_of_child
from esquirell.runtime.root import Runtime


def test_a_process_of_the_pool_has_meters_read_by_its_worker(tmp_path: Path) -> None:
    settings = ConfigurationFolder(tmp_path).load(METER + 'queue = "yard"')
    parent = Runtime(settings, Celery())
    parent.polling.queues = ("yard",)
    child = runtime_of_child(parent)
    (meter,) = child.meters()
    assert child is not parent
    assert child.polling.remote.split([meter]).others == {parent.instance: [meter]}
