"""What the Supervisor says of the broker, and what is made of answers that say nothing."""

import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from support.supervisor import TOKEN, FakeSupervisor, supervising

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.homeassistant import supervisor as ours
from esquirell.runtime.connections import learn_broker

SERVICE = {"host": "core-mosquitto", "port": 1883, "ssl": False, "protocol": "3.1.1"}
LOGIN = {"username": "addons", "password": "pw"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "options.json").write_text("{}")
    return {"SUPERVISOR_TOKEN": TOKEN, "STATE_DIRECTORY": str(tmp_path)}


def kept(tmp_path: Path) -> Any:  # noqa: ANN401 - JSON is anything
    file = tmp_path / "mqtt-broker.json"
    return json.loads(file.read_text()) if file.exists() else None


def ask(
    monkeypatch: pytest.MonkeyPatch, supervisor: FakeSupervisor, environ: dict[str, str]
) -> None:
    monkeypatch.setattr(ours, "ADDRESS", supervisor.address)
    learn_broker(environ)


def test_its_answer_is_kept_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    with supervising(SERVICE | LOGIN | {"addon": "core_mosquitto"}) as supervisor:
        ask(monkeypatch, supervisor, environ)
        assert supervisor.asked == ["/services/mqtt"]
    expected = {"host": "core-mosquitto", "port": 1883, "tls": False, **LOGIN}
    assert kept(tmp_path) == expected
    assert stat.S_IMODE((tmp_path / "mqtt-broker.json").stat().st_mode) == 0o600


def test_a_broker_without_a_login_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    with supervising(SERVICE) as supervisor:
        ask(monkeypatch, supervisor, environ)
    assert kept(tmp_path) == {"host": "core-mosquitto", "port": 1883, "tls": False}


@pytest.mark.parametrize("answer", [SERVICE, None])
def test_where_its_answer_can_not_be_kept_that_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    answer: dict[str, Any] | None,
) -> None:
    (tmp_path / "mqtt-broker.json").mkdir()
    with (
        supervising(answer) as supervisor,
        pytest.raises(ConfigError, match=r"mqtt-broker\.json can't be"),
    ):
        ask(monkeypatch, supervisor, environ)


def test_a_damaged_answer_of_before_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    (tmp_path / "mqtt-broker.json").write_bytes(b"\xff\x00")
    with supervising(SERVICE) as supervisor:
        ask(monkeypatch, supervisor, environ)
    assert kept(tmp_path) == {"host": "core-mosquitto", "port": 1883, "tls": False}


def test_a_broker_that_is_uninstalled_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    with supervising(SERVICE | LOGIN) as supervisor:
        ask(monkeypatch, supervisor, environ)
        supervisor.broker = None
        ask(monkeypatch, supervisor, environ)
    assert kept(tmp_path) is None


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (400, {"result": "error", "message": "System is not ready with state: setup"}, "400"),
        (401, {"result": "error", "message": "Unauthorized"}, "401"),
        (500, {}, "500"),
        (200, {"result": "ok", "data": {"host": "core-mosquitto", **LOGIN}}, "no host and port"),
        (200, {"result": "ok"}, "no host and port"),
    ],
)
def test_an_answer_that_says_nothing_leaves_what_it_said_before(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    status: int,
    said: dict[str, Any],
    reason: str,
) -> None:
    with supervising(SERVICE | LOGIN) as supervisor:
        ask(monkeypatch, supervisor, environ)
        before = kept(tmp_path)
        monkeypatch.setattr(supervisor, "answer", lambda *_: (status, said))
        with pytest.raises(UnavailableError, match=reason) as caught:
            ask(monkeypatch, supervisor, environ)
    assert LOGIN["password"] not in repr(caught.value)
    assert caught.value.__context__ is None
    assert kept(tmp_path) == before


def test_without_a_supervisor_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(ours, "ADDRESS", closed.getsockname())
        with pytest.raises(
            UnavailableError, match=r"Connection refused\): it is asked again every minute$"
        ):
            learn_broker(environ)


def test_outside_home_assistant_no_supervisor_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with supervising(SERVICE) as supervisor:
        ask(monkeypatch, supervisor, {"STATE_DIRECTORY": "/nowhere"})
        assert supervisor.asked == []
