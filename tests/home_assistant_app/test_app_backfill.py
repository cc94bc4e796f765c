"""Backfills from within the app: Home Assistant is reached through the Supervisor, by its token."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.long_term_server import TOKEN, HomeAssistantDouble, serving

from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.homeassistant.connection import SUPERVISOR
from esquirell.runtime import backfilling
from esquirell.runtime.backfilling import Backfilling
from esquirell.runtime.storage import Storage
from esquirell.settings import load


@pytest.fixture
def backfills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backfilling:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.json").write_text(json.dumps({"log_level": "info"}))
    given = {"SUPERVISOR_TOKEN": TOKEN, "STATE_DIRECTORY": str(tmp_path), "TZ": "UTC"}
    settings = load(None, given)
    storage = Storage(lambda: settings, lambda: datetime.now(UTC))
    return Backfilling(settings, storage, lambda: datetime.now(UTC))


def test_the_token_of_the_app_is_enough(
    backfills: Backfilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SUPERVISOR == "ws://supervisor/core/websocket"
    with serving(HomeAssistantDouble()) as double:
        double.add("sensor.cellar", "esquirell_main_energy_import", "kWh")
        monkeypatch.setattr(backfilling, "SUPERVISOR", double.url)
        monkeypatch.setenv("SUPERVISOR_TOKEN", TOKEN)
        with backfills.connect() as long_term:
            assert long_term is not None
        monkeypatch.setenv("SUPERVISOR_TOKEN", "that-of-another-app")
        with pytest.raises(EsquirellError, match="token"), backfills.connect():
            pass


def test_outside_of_home_assistant_a_token_is_asked_for(
    backfills: Backfilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPERVISOR_TOKEN", raising=False)
    with (
        pytest.raises(ConfigError, match=r"home_assistant\.token_file is missing"),
        backfills.connect(),
    ):
        pass
