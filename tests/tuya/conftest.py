from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripted_device import Ear
from support.tuya_devices import HASTY, PATIENT, QUICK, LanReader, MakeTransport

from esquirell.tuya.lan.network import Keep, Limits


@pytest.fixture
def lock_dir(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def make_transport(lock_dir: Path) -> Iterator[MakeTransport]:
    made: list[LanReader] = []

    def make(*, keep: Keep = "closed", limits: Limits = QUICK) -> LanReader:
        made.append(LanReader(lock_dir, keep=keep, limits=limits))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make_transport: MakeTransport) -> LanReader:
    return make_transport()


@pytest.fixture
def hasty(make_transport: MakeTransport) -> LanReader:
    return make_transport(limits=HASTY)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def holder(lock_dir: Path, ear: Ear) -> Iterator[LanReader]:
    reader = LanReader(lock_dir, keep="held", limits=PATIENT, listener=ear)
    yield reader
    reader.close()
