"""How long the broker keeps commands for a bridge that is away: ten minutes, as promised."""

from dataclasses import replace
from pathlib import Path

from support.configuration import METER, ConfigurationFolder

from esquirell.runtime.connections import options_of


def test_the_session_of_a_bridge_lasts_ten_minutes(tmp_path: Path) -> None:
    settings = ConfigurationFolder(tmp_path).load(METER)
    bridge, worker = (options_of(settings, bridges=bridges) for bridges in (True, False))
    assert (bridge.session_expiry, bridge.client_id) == (600, "esquirell-bridge")
    assert (worker.session_expiry, worker.client_id) == (0, "")
    assert (bridge.starts_afresh, worker.starts_afresh) == (False, True)
    assert replace(bridge, fresh=True).starts_afresh
