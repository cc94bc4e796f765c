"""Meters that are read through the cloud."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.http_server import failure
from support.tuya_cloud import API_KEY, API_SECRET, DEVICE_ID, TuyaCloud, device, model

from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.tuya.cloud.account import Account, RequestCount
from esquirell.tuya.cloud.cloud import Cloud

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
METER = Meter(name="main", device_id=DEVICE_ID, transport="cloud")
DETAILS = f"/v1.0/devices/{DEVICE_ID}"


@pytest.fixture
def server() -> Iterator[TuyaCloud]:
    with TuyaCloud(device()) as server:
        yield server


def a_cloud(
    url: str,
    state: Path,
    *,
    secret: str = API_SECRET,
    key: str = API_KEY,
    limits: tuple[int, int] = (0, 0),
    now: datetime = NOW,
) -> Cloud:
    account = Account("eu", key, SecretStr(secret), url, *limits)
    return Cloud(account, state, lambda: now)


def failed(cloud: Cloud) -> str:
    with pytest.raises(MeterUnreachableError) as caught:
        cloud.read(METER, forced=True)
    assert caught.value.code == "cloud_error"
    assert API_SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_values_have_the_ids_that_they_have_on_the_lan(server: TuyaCloud, tmp_path: Path) -> None:
    assert a_cloud(server.url, tmp_path).read(METER) == {"19": 2500, "20": 2301}


def test_what_a_device_is_is_asked_once(server: TuyaCloud, tmp_path: Path) -> None:
    for _ in range(2):
        cloud = a_cloud(server.url, tmp_path)
        cloud.read(METER)
        cloud.read(METER)
    assert server.asked[DETAILS] == 4
    assert server.asked[f"/v1.1/devices/{DEVICE_ID}/specifications"] == 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "devices").iterdir())


def test_codes_are_kept_where_ids_are_unknown(tmp_path: Path) -> None:
    with TuyaCloud(device(specification={})) as server:
        values = a_cloud(server.url, tmp_path).read(METER)
    assert values == {"cur_power": 2500, "cur_voltage": 2301}


def test_codes_stay_where_one_id_is_unknown(tmp_path: Path) -> None:
    described = {"19": device()["specification"]["19"]}
    with TuyaCloud(device(specification=described)) as server:
        values = a_cloud(server.url, tmp_path).read(METER)
    assert values == {"cur_power": 2500, "cur_voltage": 2301}


def test_a_device_with_no_standard_values_is_read_from_its_shadow(tmp_path: Path) -> None:
    shadow = [{"code": "VoltageA", "dp_id": 101, "value": 2206, "time": 1}]
    thing = model({101: "VoltageA"})
    meter = device(status=[], specification={}, shadow=shadow, model=thing)
    with TuyaCloud(meter) as server:
        cloud = a_cloud(server.url, tmp_path)
        assert cloud.read(METER) == {"101": 2206}
        described = cloud.entry(METER).device
    assert described.mapping["101"] == {
        "code": "VoltageA",
        "type": "Integer",
        "values": {"unit": "V", "scale": 1},
    }


def test_an_expired_token_is_renewed_once(server: TuyaCloud, tmp_path: Path) -> None:
    cloud = a_cloud(server.url, tmp_path)
    cloud.read(METER)
    server.expire_token()
    assert cloud.read(METER) == {"19": 2500, "20": 2301}


@pytest.mark.parametrize("code", [1010, 1011])
def test_a_token_that_is_never_accepted_ends_in_an_error(
    server: TuyaCloud, tmp_path: Path, code: int
) -> None:
    server.failures[DETAILS] = failure(code, "token invalid")
    assert "refuses its own token" in failed(a_cloud(server.url, tmp_path))
    assert server.asked[DETAILS] == 2


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (1106, "link your app account"),
        (28841002, "the plan of the project has expired"),
        (28841004, "the quota of the project is used up"),
        (28841105, "add IoT Core"),
        (28841107, "set region"),
        (2001, "offline"),
        (4711, "'strange things'"),
    ],
)
def test_refusals_say_what_to_do(server: TuyaCloud, tmp_path: Path, code: int, told: str) -> None:
    server.failures[DETAILS] = failure(code, "strange\nthings")
    assert told in failed(a_cloud(server.url, tmp_path))


def test_a_wrong_secret_is_reported(server: TuyaCloud, tmp_path: Path) -> None:
    sentence = failed(a_cloud(server.url, tmp_path, secret="wrong"))
    assert "check api_key and api_secret under [cloud]" in sentence


def test_a_wrong_region_is_among_the_suspects(server: TuyaCloud, tmp_path: Path) -> None:
    assert "and region" in failed(a_cloud(server.url, tmp_path, key="other"))


def test_old_values_of_a_device_that_is_offline_are_no_reading(tmp_path: Path) -> None:
    with TuyaCloud(device(online=False)) as server:
        assert "main as offline" in failed(a_cloud(server.url, tmp_path))


def test_a_device_without_any_value_is_reported(tmp_path: Path) -> None:
    with TuyaCloud(device(status=[])) as server:
        assert "has no values for main" in failed(a_cloud(server.url, tmp_path))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"[" * 5000,
        b'{"success": true}',
        b'{"success": true, "result": []}',
        b'{"success": true, "result": {"online": true, "status": [1]}}',
    ],
)
@pytest.mark.parametrize("path", [DETAILS, "/v1.0/token?grant_type=1"])
def test_strange_answers_are_one_sentence(
    server: TuyaCloud, tmp_path: Path, path: str, answer: bytes
) -> None:
    server.failures[path] = answer
    assert "Tuya cloud" in failed(a_cloud(server.url, tmp_path))


def test_a_cloud_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    cloud = a_cloud("http://127.0.0.1:1", tmp_path)
    for _ in range(3):
        assert "can't be reached (" in failed(cloud)
    spent = cloud.spent()
    with pytest.raises(MeterUnreachableError, match="can't be reached"):
        cloud.read(METER)
    assert cloud.spent() == spent == RequestCount(3, 3)


def test_the_budget_is_kept_by_all_processes(server: TuyaCloud, tmp_path: Path) -> None:
    a_cloud(server.url, tmp_path, limits=(5, 0)).read(METER)
    assert a_cloud(server.url, tmp_path).spent() == RequestCount(4, 4)
    sentence = failed(a_cloud(server.url, tmp_path, limits=(5, 0)))
    assert "the 5 requests to the Tuya cloud that [cloud] allows in a day are used up" in sentence
    assert "requests_per_day" in sentence
    assert server.requests == 5


def test_the_budget_is_new_each_day_and_each_month(server: TuyaCloud, tmp_path: Path) -> None:
    a_cloud(server.url, tmp_path).read(METER)
    tomorrow = a_cloud(server.url, tmp_path, now=NOW.replace(day=23), limits=(4, 5))
    assert tomorrow.spent() == RequestCount(0, 4)
    assert "in a month are used up" in failed(tomorrow)
    assert a_cloud(server.url, tmp_path, now=NOW.replace(month=12)).spent() == RequestCount()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"day":"2026-11-22","today":"x"}', b"\xff"]
)
def test_a_damaged_count_begins_again(server: TuyaCloud, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cloud-requests.json").write_bytes(content)
    cloud = a_cloud(server.url, tmp_path, limits=(100, 0))
    cloud.read(METER)
    assert cloud.spent().today == 4


def test_the_datapoints_of_each_product_are_asked_for_once(tmp_path: Path) -> None:
    devices = [
        device("bf1", name="One"),
        device("bf2", name="Two"),
        device(
            "bf3",
            product_id="another",
            specification={"1": {"code": "switch_1", "type": "Boolean", "values": "{}"}},
        ),
    ]
    with TuyaCloud(*devices) as server:
        listed = {one["id"]: one for one in a_cloud(server.url, tmp_path).devices()}
        asked = {path for path in server.asked if path.endswith("/specifications")}
        assert len(asked) == 2
    assert listed["bf1"]["mapping"] == listed["bf2"]["mapping"]
    assert set(listed["bf1"]["mapping"]) == {"18", "19", "20"}
    assert set(listed["bf3"]["mapping"]) == {"1"}
    assert {one["key"] for one in listed.values()} == {"cloud$key=(6789a"}
    assert {one["name"] for one in listed.values()} == {"One", "Two", "Plug"}
