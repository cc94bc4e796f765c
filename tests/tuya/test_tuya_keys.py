"""Keys from the cloud after a new pairing, if the user allows it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support.tuya_cloud import API_KEY, API_SECRET, TuyaCloud, device
from support.tuya_devices import DEVICE_ID, KEY, MEASURED, OTHER_KEY, a_meter

from esquirell.domain.errors import MeterRejectedError
from esquirell.domain.meter import Meter
from esquirell.tuya.account import Account
from esquirell.tuya.cloud import Cloud
from esquirell.tuya.keys import CloudKeys

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OLD = a_meter(1, key=OTHER_KEY)


def read(meter: Meter) -> Mapping[str, Any]:
    """Answer as a device does whose key is KEY."""
    if meter.local_key.get_secret_value() != KEY:
        raise MeterRejectedError("wrong_key", "another key")
    return MEASURED


def cloud_keys(server: TuyaCloud, state: Path) -> CloudKeys:
    account = Account("eu", API_KEY, SecretStr(API_SECRET), server.url)
    return CloudKeys(Cloud(account, state, lambda: NOW))


def refuse_thrice(keys: CloudKeys) -> list[bool]:
    """Read three times, and tell each time whether it failed."""
    failed = []
    for _ in range(3):
        try:
            keys.read(OLD, read)
            failed.append(False)
        except MeterRejectedError:
            failed.append(True)
    return failed


def test_the_third_refusal_asks_the_cloud(tmp_path: Path) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=KEY)) as server:
        keys = cloud_keys(server, tmp_path)
        assert refuse_thrice(keys) == [True, True, False]
        asked = server.requests
        assert keys.read(OLD, read) == MEASURED
        assert server.requests == asked


@pytest.mark.parametrize("listed", [OTHER_KEY, "", "short"])
def test_a_key_that_is_no_news_changes_nothing(tmp_path: Path, listed: str) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=listed)) as server:
        assert refuse_thrice(cloud_keys(server, tmp_path)) == [True, True, True]


def test_a_cloud_that_refuses_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TuyaCloud() as server:
        assert refuse_thrice(cloud_keys(server, tmp_path)) == [True, True, True]
    assert "can't be asked for: the Tuya cloud refuses (code 1106)" in caplog.text
    assert OTHER_KEY not in caplog.text


def test_a_key_that_the_user_changed_wins(tmp_path: Path) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=KEY)) as server:
        keys = cloud_keys(server, tmp_path)
        refuse_thrice(keys)
        newer = a_meter(1, key="newer$key=(6789a")
        asked = keys.read(newer, lambda meter: {"key": meter.local_key})
    assert asked == {"key": newer.local_key}
