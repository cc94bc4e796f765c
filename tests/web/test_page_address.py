"""Which URL is shown for the page, so that it can be opened from another machine."""

import socket
from pathlib import Path

import pytest

from esquirell.runtime import page_address
from esquirell.runtime.page_address import page_url, url_for_others
from esquirell.settings import WebSettings

EVERYWHERE = WebSettings(address="0.0.0.0")
NAME = f"http://{socket.gethostname().partition('.')[0]}.local:8155/"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which the files say whether it is a container and answers for its name."""
    monkeypatch.setattr(page_address, "CONTAINER", (tmp_path / "container",))
    monkeypatch.setattr(page_address, "RESPONDER", tmp_path / "avahi")
    monkeypatch.setattr(page_address, "ELSEWHERE", ("127.0.0.9", 9))
    return tmp_path


def test_the_host_name_is_shown_only_where_avahi_announces_it(machine: Path) -> None:
    assert page_url(EVERYWHERE) == url_for_others(EVERYWHERE) == "http://127.0.0.1:8155/"
    (machine / "avahi").touch()
    assert page_url(EVERYWHERE) == url_for_others(EVERYWHERE) == NAME


def test_without_a_network_the_name_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_address, "ELSEWHERE", ("255.255.255.255", 9))  # refused at once
    assert page_url(EVERYWHERE) == NAME


def test_a_container_names_the_machine_that_publishes_its_port(machine: Path) -> None:
    (machine / "container").touch()
    assert page_url(EVERYWHERE) == "http://localhost:8155/"
    assert url_for_others(EVERYWHERE) is None
    assert url_for_others(WebSettings(address="192.168.1.5")) == "http://192.168.1.5:8155/"


def test_a_configured_address_is_taken_as_it_is() -> None:
    web = WebSettings(address="192.168.1.5", base_path="/p")
    assert page_url(web) == url_for_others(web) == "http://192.168.1.5:8155/p/"
    assert page_url(WebSettings(address="::1")) == "http://[::1]:8155/"


def test_a_page_for_this_machine_alone_is_not_shown_to_others() -> None:
    assert url_for_others(WebSettings()) is None
    assert url_for_others(WebSettings(address="0.0.0.0", port=0)) is None
