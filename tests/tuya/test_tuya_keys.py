"""Keys from the cloud after a new pairing, if the user allows it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.tuya_cloud import API_KEY, API_SECRET, TuyaCloud, device
from support.tuya_devices import DEVICE_ID, KEY, MEASURED, OTHER_KEY, a_meter

from esquirell.domain.errors import MeterRejectedError
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.cloud.account import Account
from esquirell.tuya.cloud.cloud import Cloud, CloudKeys
from esquirell.tuya.transport import Answered, LocalTransport, TuyaTransport

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OLD = a_meter(1, key=OTHER_KEY)


class Device(LocalTransport):
    """Answers as a device does whose key is one of `keys`, and closes nothing."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        for question in questions:
            fits = question.meter.local_key.get_secret_value() in self.keys
            refusal = MeterRejectedError("wrong_key", "another key")
            answered(question, RawDatapoints(MEASURED) if fits else refusal)


def transport(server: TuyaCloud, state: Path, *keys: str) -> TuyaTransport:
    account = Account("eu", API_KEY, SecretStr(API_SECRET), server.url)
    cloud = Cloud(account, state, lambda: NOW)
    return TuyaTransport(Device(*(keys or (KEY,))), cloud, CloudKeys(cloud))


def refuse_thrice(transport: TuyaTransport) -> list[bool]:
    """Read three times; return whether each one failed."""
    failed = []
    for _ in range(3):
        try:
            transport.read(Question(OLD))
            failed.append(False)
        except MeterRejectedError:
            failed.append(True)
    return failed


def test_the_third_refusal_asks_the_cloud(tmp_path: Path) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=KEY)) as server:
        meters = transport(server, tmp_path)
        assert refuse_thrice(meters) == [True, True, False]
        asked = server.requests
        assert meters.read(Question(OLD)).values == MEASURED
        assert server.requests == asked


@pytest.mark.parametrize("listed", [OTHER_KEY, "", "short"])
def test_a_key_that_is_no_news_changes_nothing(tmp_path: Path, listed: str) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=listed)) as server:
        assert refuse_thrice(transport(server, tmp_path)) == [True, True, True]


def test_a_cloud_that_refuses_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TuyaCloud() as server:
        assert refuse_thrice(transport(server, tmp_path)) == [True, True, True]
    assert (
        "can't be fetched from the cloud: the Tuya cloud refuses the request (code 1106)"
        in caplog.text
    )
    assert OTHER_KEY not in caplog.text


def test_a_key_that_the_user_changed_wins(tmp_path: Path) -> None:
    with TuyaCloud(device(DEVICE_ID, local_key=KEY)) as server:
        newer = a_meter(1, key="newer$key=(6789a")
        meters = transport(server, tmp_path, "newer$key=(6789a")
        refuse_thrice(meters)
        assert meters.read(Question(newer)).values == MEASURED
