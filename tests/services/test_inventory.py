"""Meters added, changed, exchanged and removed, over files in memory."""

from typing import Any

import pytest
from support.commanding import Bench, from_file

from esquirell.domain.command import Request
from esquirell.domain.counters import GONE
from esquirell.domain.errors import ConfigError, DiskError
from esquirell.services.ledgers import source_of

KEY = "0123456789abcdef"
NEW: dict[str, Any] = {"device_id": "bf77", "local_key": KEY, "name": "barn"}


@pytest.fixture
def bench() -> Bench:
    return Bench(from_file())


def ask(bench: Bench, command: str, **data: object) -> dict[str, Any]:
    return bench.commands.handle(Request("web", command, data)).payload()


def refusal(bench: Bench, command: str, **data: object) -> tuple[str, str]:
    answer = ask(bench, command, **data)
    assert answer["status"] == "error", answer
    return answer["code"], answer["error"]


def test_a_meter_is_read_and_then_its_file_is_written(bench: Bench) -> None:
    answer = ask(bench, "meter/add", **NEW, label="Barn", area="Yard", address="192.168.1.7")
    assert answer["data"]["host"] == "raspi"
    assert answer["data"]["reading"]["active_power"] == 12.0
    assert bench.files.tables["barn"] == {
        "name": "barn",
        "device_id": "bf77",
        "local_key": KEY,
        "label": "Barn",
        "area": "Yard",
        "address": "192.168.1.7",
    }
    assert [one.name for one in bench.files.read_with] == ["barn"]


def test_one_that_reports_often_is_published_less_often(bench: Bench) -> None:
    at = {"address": "10.0.0.10"}
    assert ask(bench, "meter/add", **NEW, **at)["data"]["reports_often"]
    assert bench.files.tables["barn"]["publish_every"] == 10
    told = {"device_id": "bf78", "local_key": KEY, "name": "told", "publish_every": 0}
    assert not ask(bench, "meter/add", **told, **at)["data"]["reports_often"]
    assert bench.files.tables["told"]["publish_every"] == 0
    unread = {"device_id": "bf79", "local_key": KEY, "name": "unread", "test": False}
    assert not ask(bench, "meter/add", **unread, **at)["data"]["reports_often"]


def test_a_meter_that_does_not_answer_is_not_added(bench: Bench) -> None:
    code, sentence = refusal(bench, "meter/add", **NEW, address="10.0.0.66")
    assert (code, sentence) == ("unreachable", "no route to it")
    assert bench.files.tables == {}
    assert ask(bench, "meter/add", **NEW, address="10.0.0.66", test=False)["status"] == "ok"


def test_no_key_is_recorded_in_the_log(bench: Bench) -> None:
    ask(bench, "meter/try", **NEW)
    ask(bench, "meter/add", **NEW)
    ask(bench, "meter/set", name="barn", local_key="fedcba9876543210")
    for record in bench.log.records.values():
        assert KEY not in str(record)
        assert "fedcba9876543210" not in str(record)
    assert bench.files.tables["barn"]["local_key"] == "fedcba9876543210"


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "example.com",
        "0.0.0.0",
        "224.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "ff02::1",
        "::ffff:169.254.169.254",
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8::1",
        "240.0.0.1",
        "255.255.255.255",
        "2001:4860:4860::8888",
        "10.0.0.1:80",
        "",
    ],
)
def test_only_an_address_of_the_own_network_is_taken(bench: Bench, address: str) -> None:
    for command in ("meter/try", "meter/add"):
        code, sentence = refusal(bench, command, **NEW, address=address)
        assert code == "invalid_payload"
        assert sentence.startswith("address: ")
    assert bench.files.read_with == []


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"name": "main"}, "already_exists", "a meter main exists already"),
        ({"device_id": "id-main"}, "already_exists", "this device is already the meter main"),
        ({"local_key": "short"}, "invalid_payload", "local_key has 5 characters"),
        ({"name": "No Slug"}, "invalid_payload", "name"),
        ({"protocol": "9"}, "invalid_payload", "protocol"),
        ({"colour": "red"}, "invalid_payload", "colour: is not known here"),
        ({"gateway": "bf1"}, "invalid_payload", "gateway and cid go together"),
    ],
)
def test_an_invalid_meter_is_refused(
    bench: Bench, fields: dict[str, Any], code: str, said: str
) -> None:
    found, sentence = refusal(bench, "meter/add", **(NEW | fields))
    assert found == code
    assert said in sentence
    assert bench.files.tables == {}


def test_what_the_configuration_refuses_is_said(bench: Bench) -> None:
    bench.files.trouble = ConfigError("meter barn stands in a.toml and in b.toml: remove one")
    code, sentence = refusal(bench, "meter/add", **NEW)
    assert (code, sentence) == ("invalid_payload", str(bench.files.trouble))


def test_a_disk_error_is_not_blamed_on_the_request(bench: Bench) -> None:
    bench.files.trouble = DiskError("barn.toml can't be written: No space left on device")
    code, sentence = refusal(bench, "meter/add", **NEW)
    assert (code, sentence) == ("unavailable", str(bench.files.trouble))


def test_a_change_keeps_the_rest(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW, label="Barn", address="192.168.1.7")
    ask(bench, "meter/set", name="barn", label="Old barn", address="auto")
    assert bench.files.tables["barn"] == {
        "name": "barn",
        "device_id": "bf77",
        "local_key": KEY,
        "label": "Old barn",
        "address": "auto",
    }
    code, _ = refusal(bench, "meter/set", name="barn")
    assert code == "invalid_payload"


def test_an_exchanged_device_keeps_the_place_and_nothing_of_the_old_one(bench: Bench) -> None:
    ask(
        bench,
        "meter/add",
        **NEW,
        label="Barn",
        upstream="main",
        profile="plug",
        protocol="3.3",
        address="10.0.0.9",
    )
    answer = ask(bench, "meter/exchange", name="barn", device_id="bf99", local_key="f" * 16)
    assert answer["status"] == "ok"
    assert bench.files.tables["barn"] == {
        "name": "barn",
        "device_id": "bf99",
        "local_key": "f" * 16,
        "label": "Barn",
        "upstream": "main",
    }
    assert refusal(bench, "meter/exchange", name="barn", local_key="f" * 16)[0] == "invalid_payload"


def test_the_answer_about_the_counter_after_an_exchange_is_stored(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW)
    device = {"name": "barn", "device_id": "bf99", "local_key": KEY}
    assert ask(bench, "meter/exchange", **device)["status"] == "ok"
    assert bench.handed_over == []
    assert ask(bench, "meter/exchange", **device, counter="anew")["status"] == "ok"
    assert ask(bench, "meter/exchange", **device, counter="continues")["status"] == "ok"
    assert bench.handed_over == [("barn", GONE), ("barn", source_of("bf99", invert=False))]
    assert refusal(bench, "meter/exchange", **device, counter="yes")[0] == "invalid_payload"
    refusal(bench, "meter/exchange", **device, counter="anew", address="10.0.0.66")
    assert len(bench.handed_over) == 2, "nothing is handed over to a device that does not answer"


@pytest.mark.parametrize("command", ["meter/set", "meter/exchange", "meter/remove"])
def test_meters_of_the_configuration_file_are_left_alone(bench: Bench, command: str) -> None:
    fields = {"meter/set": {"label": "x"}, "meter/exchange": NEW | {"name": "main"}}
    code, sentence = refusal(bench, command, **({"name": "main"} | fields.get(command, {})))
    assert code == "invalid_payload"
    assert "is defined in the configuration file" in sentence
    assert refusal(bench, command, **(fields.get(command, {}) | {"name": "nobody"}))[0] == (
        "unknown_meter"
    )


def test_a_removed_meter_keeps_its_history_unless_it_is_to_be_forgotten(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW)
    assert ask(bench, "meter/remove", name="barn")["data"] == {"name": "barn", "forgotten": 0}
    assert bench.forgotten == []
    ask(bench, "meter/add", **NEW)
    assert ask(bench, "meter/remove", name="barn", forget=True)["data"]["forgotten"] == 7
    assert bench.forgotten == ["barn"]
    assert bench.files.tables == {}


def test_a_meter_that_a_schedule_names_is_not_removed(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW)
    ask(bench, "schedule/add", name="fast", every=5, meters=["barn"])
    code, sentence = refusal(bench, "meter/remove", name="barn")
    assert code == "invalid_payload"
    assert "the schedule fast reads barn" in sentence


def test_what_a_list_says_of_the_datapoints_is_kept(bench: Bench) -> None:
    mapping = {"17": {"code": "add_ele", "type": "Integer"}}
    ask(bench, "meter/add", **NEW, mapping=mapping, category="cz", product_id="p1")
    assert bench.files.noted["bf77"].mapping == mapping
    assert "mapping" not in bench.files.tables["barn"]
    assert bench.files.tables["barn"]["product_id"] == "p1"


def test_nothing_of_it_can_be_asked_over_mqtt(bench: Bench) -> None:
    for verb in ("try", "add", "set", "exchange", "remove"):
        answer = bench.commands.handle(Request("mqtt", f"meter/{verb}", NEW)).payload()
        assert answer["code"] == "unknown_command"


def test_the_source_of_a_counter_is_called_as_it_is_stored() -> None:
    """Called otherwise by a release, every meter would count as exchanged."""
    assert source_of("bf01", invert=False) == "f2c5c864678ce1cd"
    assert source_of("bf01", invert=("a",)) == "5b431d3dc942e6a3"


def test_a_concurrent_change_is_kept(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW, label="Barn")

    def moved() -> None:
        bench.files.tables["barn"]["area"] = "Meadow"

    bench.files.meanwhile = moved
    assert ask(bench, "meter/set", name="barn", label="Stable")["status"] == "ok"
    assert bench.files.tables["barn"] | NEW == bench.files.tables["barn"]
    assert bench.files.tables["barn"]["area"] == "Meadow"
    del bench.files.tables["barn"]["area"]
    ask(bench, "meter/exchange", name="barn", device_id="bf99", local_key="f" * 16)
    table = bench.files.tables["barn"]
    assert (table["label"], table["area"], table["device_id"]) == ("Stable", "Meadow", "bf99")


def test_a_name_taken_while_the_device_was_read_is_refused(bench: Bench) -> None:
    taken = {"name": "barn", "device_id": "bf88", "local_key": KEY}

    def add() -> None:
        bench.files.tables["barn"] = taken

    bench.files.meanwhile = add
    assert refusal(bench, "meter/add", **NEW) == ("already_exists", "a meter barn exists already")
    assert bench.files.tables["barn"] == taken


def test_each_change_is_taken_over_by_this_process_once_it_is_written(bench: Bench) -> None:
    ask(bench, "meter/add", **NEW)
    ask(bench, "meter/set", name="barn", label="Barn")
    ask(bench, "meter/exchange", name="barn", device_id="bf78", local_key=KEY)
    ask(bench, "meter/remove", name="barn")
    assert bench.files.taken_over == [{"barn"}, {"barn"}, {"barn"}, set()]
    assert refusal(bench, "meter/set", name="barn", label="x")[1].startswith(
        "there is no meter barn; known: "
    )
    assert "main" in refusal(bench, "meter/remove", name="barn")[1]
