import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.page import PASSWORD
from support.page_house import House, running_house

if TYPE_CHECKING:
    from support.browser import Window

AXE = "AXE_SCRIPT"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = "" if AXE in os.environ else "`make browser` runs it"
    if not missing and not (shutil.which("chromium") and shutil.which("chromedriver")):
        missing = "chromium or chromedriver is not installed: apt install chromium-driver"
    for item in items:
        if missing and Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def stranger(house: House) -> "Iterator[Window]":
    """A window that is not logged in."""
    from support.browser import chromium  # noqa: PLC0415 - only `make browser` installs selenium

    with chromium(f"http://127.0.0.1:{house.port}/") as window:
        yield window


@pytest.fixture
def window(stranger: "Window") -> "Window":
    stranger.log_in(PASSWORD)
    return stranger


@pytest.fixture(scope="module")
def read_by(house: House) -> "Iterator[Window]":
    from support.browser import chromium  # noqa: PLC0415 - as above

    with chromium(f"http://127.0.0.1:{house.port}/") as window:
        window.log_in(PASSWORD)
        yield window


@pytest.fixture
def reader(read_by: "Window") -> "Iterator[Window]":
    """A window that only looks: it is used by many tests, as to start a browser takes long."""
    yield read_by
    read_by.as_before()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    return Path(os.environ[AXE]).read_text()
