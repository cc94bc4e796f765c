import json
from collections.abc import Callable, Collection
from typing import Any

import pytest
from support.captures import captures
from support.configuration import KEY, ConfigurationFolder

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.inference import specified
from esquirell.domain.meter import Meter
from esquirell.profiles.capture import identity
from esquirell.settings.devices import DeviceList, describe, key_of, read_devices

PLUG = {
    "1": {"code": "switch_1", "type": "Boolean", "values": {}},
    "18": {"code": "cur_current", "type": "Integer", "values": {"unit": "mA", "scale": 0}},
    "19": {"code": "cur_power", "type": "Integer", "values": {"unit": "W", "scale": 1}},
    "20": {"code": "cur_voltage", "type": "Integer", "values": {"unit": "V", "scale": 1}},
}
BREAKER = {"6": {"code": "phase_a", "type": "Raw", "values": {}}}
LAMP = {
    "20": {"code": "switch_led", "type": "Boolean", "values": {}},
    "22": {"code": "bright_value_v2", "type": "Integer", "values": {}},
    "24": {"code": "temp_current", "type": "Integer", "values": {}},
}


def device(**said: Any) -> dict[str, Any]:  # noqa: ANN401 - what a file of others may hold
    plain = {
        "name": "Garage",
        "id": "bf01",
        "key": KEY,
        "mac": "a8:80:55:00:00:01",
        "uuid": "a1",
        "sn": "1",
        "category": "cz",
        "product_name": "Smart Plug",
        "product_id": "abcdefghij123456",
        "biz_type": 18,
        "model": "",
        "sub": False,
        "icon": "https://images.example/icon.png",
        "mapping": PLUG,
        "ip": "192.168.1.50",
        "version": "3.3",
    }
    return plain | said


def take(folder: ConfigurationFolder, *devices: object) -> DeviceList:
    return read_devices(folder.put("devices.json", json.dumps(devices)))


def only(found: DeviceList) -> Meter:
    (meter,) = found.meters
    return meter


def test_a_plug_is_taken_over_whole(folder: ConfigurationFolder) -> None:
    meter = only(take(folder, device()))
    assert meter.model_dump(exclude_defaults=True, exclude={"local_key"}) == {
        "name": "garage",
        "label": "Garage",
        "device_id": "bf01",
        "address": "192.168.1.50",
        "protocol": "3.3",
        "profile": "plug",
        "product_id": "abcdefghij123456",
        "mapping_file": folder.path / "devices.json",
    }
    assert meter.local_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ({"ip": ""}, "auto"),
        ({"ip": None}, "auto"),
        ({"ip": "93.184.216.34"}, "auto"),
        ({"ip": "meter.lan"}, "auto"),
        ({"ip": "", "last_ip": "10.0.0.7"}, "10.0.0.7"),
        ({"ip": "10.0.0.7", "last_ip": "93.184.216.34"}, "10.0.0.7"),
    ],
)
def test_only_an_address_of_the_home_network_is_kept(
    folder: ConfigurationFolder, said: dict[str, Any], address: str
) -> None:
    assert only(take(folder, device(**said))).address == address


@pytest.mark.parametrize(
    ("version", "protocol"),
    [("3.4", "3.4"), (3.5, "3.5"), ("", "auto"), (None, "auto"), ("2.0", "auto")],
)
def test_an_unknown_protocol_is_detected_later(
    folder: ConfigurationFolder, version: object, protocol: str
) -> None:
    assert only(take(folder, device(version=version))).protocol == protocol


@pytest.mark.parametrize(
    ("said", "profile", "mapped"),
    [
        ({"mapping": BREAKER, "category": "dlq"}, "auto", True),
        ({"mapping": {}, "category": "zndb"}, "auto", False),
        ({"mapping": None, "product_id": "gqmmtjclqb7reg5p"}, "auto", False),
    ],
)
def test_meters_are_detected_by_codes_category_or_product(
    folder: ConfigurationFolder, said: dict[str, Any], profile: str, mapped: bool
) -> None:
    meter = only(take(folder, device(**said)))
    assert meter.profile == profile
    assert (meter.mapping_file is not None) == mapped


@pytest.mark.parametrize(
    ("said", "undescribed"),
    [({"mapping": {}}, {"garage"}), ({"mapping": None, "category": "dlq"}, {"garage"}), ({}, ())],
)
def test_plugs_without_a_mapping_are_taken_and_named(
    folder: ConfigurationFolder, said: dict[str, Any], undescribed: Collection[str]
) -> None:
    found = take(folder, device(**said))
    assert only(found).profile == ("auto" if undescribed else "plug")
    assert found.undescribed == frozenset(undescribed)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"mapping": LAMP, "category": "dj"}, "none of its datapoints measures electricity"),
        (
            {"mapping": {}, "category": "dj"},
            "the list has no datapoints of it, and its category (dj) is none of meters",
        ),
        (
            {"mapping": [1], "category": None},
            "the list has no datapoints of it, and its category (unknown) is none of meters",
        ),
        ({"sub": True}, "it is behind a gateway (parent) that is not in the list"),
        (
            {"sub": True, "parent": "bf02"},
            "it is behind a gateway (parent) that is not in the list",
        ),
        ({"key": ""}, "its local key is missing"),
        ({"key": None}, "its local key is missing"),
        ({"key": "abc"}, "its local key has 3 characters, not 16"),
        ({"id": ""}, "its id is missing or wrong"),
        ({"id": "bf 01"}, "its id is missing or wrong"),
    ],
)
def test_other_devices_are_left_out_with_the_reason(
    folder: ConfigurationFolder, said: dict[str, Any], reason: str
) -> None:
    found = take(folder, device(**said))
    assert found.meters == ()
    assert found.left_out == (("Garage", reason),)


GATEWAY = {"id": "bfgw", "name": "Gateway", "category": "wg2", "mapping": {}, "ip": "192.168.1.9"}


def test_a_device_behind_a_gateway_is_read_through_it(folder: ConfigurationFolder) -> None:
    gateway = device(**GATEWAY, key="gateway-key-1234", version="3.4")
    child = device(sub=True, parent="bfgw", node_id="a4c1380123456789", ip="", key="", version="")
    meter = only(take(folder, child, gateway))
    assert (meter.device_id, meter.gateway, meter.cid) == ("bf01", "bfgw", "a4c1380123456789")
    assert (meter.address, meter.protocol) == ("192.168.1.9", "3.4")
    assert meter.local_key.get_secret_value() == "gateway-key-1234"


@pytest.mark.parametrize(
    ("child", "gateway", "reason"),
    [
        ({"node_id": ""}, {}, "it is behind a gateway, but its entry has no node_id"),
        ({}, {"key": ""}, "its gateway's local key is missing"),
    ],
)
def test_what_a_gateway_lacks_is_named(
    folder: ConfigurationFolder, child: dict[str, Any], gateway: dict[str, Any], reason: str
) -> None:
    said = {"sub": True, "parent": "bfgw", "node_id": "a4c1380123456789"} | child
    found = take(folder, device(**said), device(**(GATEWAY | gateway)))
    assert found.meters == ()
    assert ("Garage", reason) in found.left_out


def test_a_mapping_may_be_the_list_of_the_cloud(folder: ConfigurationFolder) -> None:
    listed = [
        {"dp_id": int(dp), **point, "values": json.dumps(point["values"])}
        for dp, point in PLUG.items()
    ]
    meter = only(take(folder, device(mapping=listed)))
    assert (meter.profile, meter.mapping_file) == ("plug", folder.path / "devices.json")
    assert set(describe(folder.path / "devices.json", "bf01").mapping) == set(PLUG)


def test_devices_with_equal_names_are_numbered(folder: ConfigurationFolder) -> None:
    names = ["Küche Steckdose", "Küche Steckdose", "插座", "插座", ""]
    found = take(folder, *(device(name=name, id=f"bf{i}") for i, name in enumerate(names)))
    assert [meter.name for meter in found.meters] == [
        "kueche-steckdose",
        "kueche-steckdose-2",
        "meter-1",
        "meter-2",
        "smart-plug",
    ]
    # Without a name of its own a device is called by its product's.
    assert [meter.label for meter in found.meters] == [
        "Küche Steckdose",
        "Küche Steckdose 2",
        "插座",
        "插座 2",
        "Smart Plug",
    ]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda entries: entries,
        lambda entries: {"timestamp": 1.5, "devices": entries},
        lambda entries: {"result": entries, "success": True, "file": {"name": "tuya-raw.json"}},
    ],
)
def test_what_the_wizard_writes_beside_it_is_read_too(
    folder: ConfigurationFolder,
    wrap: Callable[[list[object]], object],
) -> None:
    plain = device(version="")
    other = {
        "device_id": plain.pop("id"),
        "local_key": plain.pop("key"),
        "host": plain.pop("ip"),
        "ver": "3.3",
        "friendly_name": plain.pop("name"),
        "productKey": plain.pop("product_id"),
    }
    file = folder.path / "snapshot.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(wrap([plain | other])).encode())
    assert read_devices(file).meters[0] == only(take(folder, device())).model_copy(
        update={"mapping_file": file}
    )
    assert key_of(file, "bf01") == KEY


def test_devices_that_a_list_does_not_describe_are_to_be_read(folder: ConfigurationFolder) -> None:
    file = folder.put("devices.conf", json.dumps([{"name": "Plug", "id": "bf01", "key": KEY}]))
    found = read_devices(file)
    assert only(found).name == "plug"
    assert found.undescribed == {"plug"}
    assert not found.by_hand


OF_RUSTUYA: dict[str, dict[str, str]] = {
    "bf01": {"name": "Plug", "key": KEY, "ip": "192.168.1.50", "version": "3.4"},
    "bf02": {"name": "Attic", "cid": "a4c1380123456789", "parent_id": "bf01"},
}
# By hand, with names that it takes as well.
BY_HAND = [
    {"devId": "bf01", "localKey": KEY, "ipAddress": "192.168.1.50", "protocol": "3.4"},
    {"devId": "bf02", "nodeId": "a4c1380123456789", "parentId": "bf01"},
]


@pytest.mark.parametrize(
    "devices",
    [
        {id_: {"id": id_} | device for id_, device in OF_RUSTUYA.items()},
        # Early releases write an id once only.
        OF_RUSTUYA,
        BY_HAND,
    ],
)
def test_the_state_of_rustuya_bridge_is_read(folder: ConfigurationFolder, devices: object) -> None:
    file = folder.put("rustuya.json", json.dumps(devices))
    plug, attic = read_devices(file).meters
    assert (plug.address, plug.protocol, plug.gateway) == ("192.168.1.50", "3.4", "")
    assert (attic.device_id, attic.gateway, attic.cid) == ("bf02", "bf01", "a4c1380123456789")
    assert attic.local_key == plug.local_key


def test_the_list_of_rustuya_manager_says_what_measures(folder: ConfigurationFolder) -> None:
    power = {"code": "cur_power", "type": "Integer", "values": '{"unit": "W", "scale": 1}'}
    entry = {
        "id": "bf01",
        "name": "Air conditioner",
        "local_key": KEY,
        "category": "kt",
        "local_strategy": {"19": {"status_code": "cur_power"}, "1": {"status_code": "switch"}},
        "status_range": {"cur_power": power},
    }
    file = folder.put(
        "tuyadevices.json", json.dumps([entry, entry | {"id": "bf02", "status_range": {}}])
    )
    found = read_devices(file)
    meter = only(found)
    assert (meter.device_id, meter.mapping_file) == ("bf01", file)
    assert describe(file, "bf01").mapping == {"19": power}
    assert identity(meter, Device()).described == specified({"19": power})
    assert len(found.left_out) == 1


def test_the_later_of_two_entries_with_one_id_counts(folder: ConfigurationFolder) -> None:
    found = take(folder, device(name="Old", key="0" * 16), device())
    assert only(found).label == "Garage"
    assert found.left_out == (("Old", "a later entry has the same id"),)


NO_JSON = (
    "is not JSON: use tinytuya's devices.json; docs/how-to/find-meters.md says how to make one "
    "from a spreadsheet"
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", NO_JSON),
        ("\xff", NO_JSON),
        ("{}", "is not a list of devices: use tinytuya's devices.json"),
        ('{"a": {"b": 1}}', "is not a list of devices: use tinytuya's devices.json"),
        ("[1]", "is not a list of devices: use tinytuya's devices.json"),
        (None, "does not exist: give the path of the devices.json that tinytuya's wizard wrote"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    folder: ConfigurationFolder, content: str | None, problem: str
) -> None:
    file = folder.path / "devices.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read_devices(file)
    assert str(caught.value) == f"{file} {problem}"


def test_all_captured_meters_are_seen_to_measure(folder: ConfigurationFolder) -> None:
    mapped = [one.capture for one in captures() if one.capture.get("mapping")]
    devices = [
        device(name=f"case {number}", id=f"bf{number}", mapping=case["mapping"], category="none")
        for number, case in enumerate(mapped)
    ]
    assert mapped
    assert take(folder, *devices).left_out == ()


def entries(*listed: object) -> dict[str, Any]:
    """Return `core.config_entries` as Home Assistant keeps it, beside others' entries."""
    sun: dict[str, Any] = {"domain": "sun", "data": {}, "options": {}, "title": "Sun"}
    return {"version": 1, "key": "core.config_entries", "data": {"entries": [sun, *listed]}}


def of_tuya_local(title: str, options: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:  # noqa: ANN401 - what a file of others may hold
    plain: dict[str, Any] = {"device_id": "bf01", "host": "192.168.1.50", "local_key": KEY}
    plain |= {"protocol_version": 3.4, "poll_only": False, "type": "x"}
    return {
        "domain": "tuya_local",
        "title": title,
        "data": plain | data,
        "options": options or {},
    }


def taken_from(folder: ConfigurationFolder, *listed: object) -> DeviceList:
    return read_devices(folder.put("core.config_entries", json.dumps(entries(*listed))))


def test_devices_of_tuya_local_are_taken_over_to_be_read(folder: ConfigurationFolder) -> None:
    found = taken_from(
        folder,
        of_tuya_local("Heat pump"),
        of_tuya_local("Lamp", {"host": "192.168.1.7"}, device_id="bf02", protocol_version="auto"),
        of_tuya_local("Fan", device_id="bf03", host="Auto", protocol_version=3.22),
        of_tuya_local("Bell", device_id="bf04", local_key="short"),
    )
    shown = [(one.name, one.device_id, one.address, one.protocol) for one in found.meters]
    assert shown == [
        ("heat-pump", "bf01", "192.168.1.50", "3.4"),
        ("lamp", "bf02", "192.168.1.7", "auto"),
        ("fan", "bf03", "auto", "auto"),
    ]
    assert found.undescribed == {"heat-pump", "lamp", "fan"}
    assert not found.by_hand
    assert found.left_out == (("Bell", "its local key has 5 characters, not 16"),)
    assert all(one.mapping_file is None for one in found.meters)


def test_a_device_of_tuya_local_behind_a_hub_is_reached_through_it(
    folder: ConfigurationFolder,
) -> None:
    found = taken_from(
        folder,
        of_tuya_local("Attic", device_id="bfgw", device_cid="a4c138"),
        of_tuya_local("Hub", device_id="bfgw"),
        of_tuya_local("Shed", device_id="bfgw", device_cid="a4c139"),
    )
    shown = [(one.name, one.device_id, one.gateway, one.cid) for one in found.meters]
    assert shown == [
        ("hub", "bfgw", "", ""),
        ("attic", "a4c138", "bfgw", "a4c138"),
        ("shed", "a4c139", "bfgw", "a4c139"),
    ]
    assert {one.local_key.get_secret_value() for one in found.meters} == {KEY}
    assert found.left_out == ()
    assert {one.address for one in found.meters} == {"192.168.1.50"}


def test_devices_of_localtuya_are_taken_over_to_be_read(folder: ConfigurationFolder) -> None:
    plug = {"device_id": "bf01", "friendly_name": "Freezer", "host": "192.168.1.51"}
    plug |= {"local_key": KEY, "protocol_version": "3.3", "product_key": "abcdefghij123456"}
    child = plug | {"device_id": "bf09", "node_id": "a4c138", "gateway_id": "bfgw"}
    child |= {"friendly_name": "Attic"}
    data = {"devices": {"bf01": plug, "bf09": child}, "client_secret": "not ours"}
    found = taken_from(folder, {"domain": "localtuya", "title": "me", "data": data})
    shown = [(one.name, one.device_id, one.gateway, one.cid, one.protocol) for one in found.meters]
    assert shown == [
        ("freezer", "bf01", "", "", "3.3"),
        ("attic", "bf09", "bfgw", "a4c138", "3.3"),
    ]
    assert found.meters[0].product_id == "abcdefghij123456"
    assert found.undescribed == {"freezer", "attic"}


def test_an_entry_for_each_device_as_early_localtuya_has_them_is_taken(
    folder: ConfigurationFolder,
) -> None:
    data = {"device_id": "bf01", "friendly_name": "Freezer", "host": "192.168.1.51"}
    data |= {"local_key": KEY, "protocol_version": "3.3"}
    found = taken_from(folder, {"domain": "localtuya", "title": "Freezer", "data": data})
    assert [(one.name, one.address) for one in found.meters] == [("freezer", "192.168.1.51")]


@pytest.mark.parametrize(
    "content",
    [
        entries(),
        entries(7, None, {"domain": "localtuya"}, {"domain": "tuya_local", "data": []}),
        entries({"domain": "localtuya", "data": {"devices": {"a": None, "b": {"host": 1}}}}),
        {"key": "core.config_entries", "data": None},
    ],
)
def test_a_home_assistant_without_these_integrations_is_said(
    folder: ConfigurationFolder, content: dict[str, Any]
) -> None:
    file = folder.put("core.config_entries", json.dumps(content))
    with pytest.raises(ConfigError, match=r"has no devices of Tuya Local or LocalTuya$"):
        read_devices(file)


def test_a_hub_that_is_known_by_what_is_behind_it_is_not_listed(
    folder: ConfigurationFolder,
) -> None:
    found = taken_from(folder, of_tuya_local("Attic", device_id="bfgw", device_cid="a4c138"))
    assert only(found).gateway == "bfgw"
    assert found.left_out == ()


def test_a_key_of_sixteen_characters_stays_whole(folder: ConfigurationFolder) -> None:
    key = " 234567890abcde "
    assert only(take(folder, device(key=key))).local_key.get_secret_value() == key
    assert only(take(folder, device(key=f"'{KEY}' "))).local_key.get_secret_value() == KEY
