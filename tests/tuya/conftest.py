from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tuya_devices import HASTY, QUICK, MakeTransport

from esquirell.tuya.limits import Limits
from esquirell.tuya.local import LocalTransport


@pytest.fixture
def lock_dir(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def make_transport(lock_dir: Path) -> Iterator[MakeTransport]:
    made: list[LocalTransport] = []

    def make(*, keep: bool = False, limits: Limits = QUICK) -> LocalTransport:
        made.append(LocalTransport(lock_dir, keep_connections=lambda _: keep, limits=limits))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make_transport: MakeTransport) -> LocalTransport:
    return make_transport()


@pytest.fixture
def hasty(make_transport: MakeTransport) -> LocalTransport:
    return make_transport(limits=HASTY)
