"""What a meter sends, for others to look at: with nothing that names the device."""

import json
from typing import Any

import pytest
from support import fakes

from esquirell import profiles
from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.services.capture import Capture

POINT = {"code": "cur_voltage", "type": "Integer", "values": {"scale": 1}}
DEVICE = Device(
    product_id="keyabc",
    category="zndb",
    product_name="Meter",
    mapping={"101": POINT | {"name": "my kitchen"}, "102": "odd"},
    spec={"101": {"code": "cur_voltage"}},
)


class Reader:
    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    def read(self, question: Question) -> RawDatapoints:
        self.asked.append(question)
        return RawDatapoints(self.answer)


def taken(reader: Reader, meter: Meter | None = None, device: Device = DEVICE) -> dict[str, Any]:
    choices = profiles.Choices()
    capture = Capture(reader, lambda _: device, choices.of, choices.decode, "1.2.3")
    return capture.take(meter or fakes.meter(protocol="3.4"))


def test_a_capture_has_the_raw_datapoints_and_their_interpretation() -> None:
    reader = Reader({"101": 2360, "999": "x"})
    found = taken(reader)
    assert found["expected"]["voltage_a"] == 236.0
    assert (found["dps"]["101"], "status" in found) == (2360, False)
    assert [found[name] for name in ("esquirell", "product_id", "category", "product_name")] == [
        "1.2.3",
        "keyabc",
        "zndb",
        "Meter",
    ]
    assert found["protocol"] == "3.4"
    ((asked),) = reader.asked
    assert asked.forced
    assert asked.refresh == profiles.find("owon_pc321").refresh


def test_of_each_datapoint_only_what_describes_it_is_kept() -> None:
    found = taken(Reader({"101": 2360}))
    assert found["mapping"] == {"101": POINT}
    assert found["spec"] == {"101": {"code": "cur_voltage"}}


def test_an_answer_by_code_is_distinguished_from_one_by_id() -> None:
    found = taken(Reader({"101": 2360, "cur_voltage": 1}))
    assert "dps" not in found
    assert found["status"]["101"] == 2360


def test_a_protocol_that_is_found_by_itself_is_not_named() -> None:
    assert taken(Reader({"101": 1}), fakes.meter())["protocol"] is None


@pytest.mark.parametrize(("device", "known"), [(Device(), "configured"), (DEVICE, "keyabc")])
def test_the_product_id_of_the_device_precedes_the_configured_one(
    device: Device, known: str
) -> None:
    found = taken(Reader({"101": 1}), fakes.meter(product_id="configured"), device)
    assert found["product_id"] == known


def test_nothing_that_names_the_meter_is_left() -> None:
    secrets = ["bf0123456789abcdef01", "fedcba9876543210", "bfgateway0123456789", "cid-7a7a7a7a"]
    secrets.append("10.20.30.40")
    device_id, key, gateway, cid, address = secrets
    meter = fakes.meter(
        device_id=device_id, local_key=key, gateway=gateway, cid=cid, address=address
    )
    found = taken(Reader({str(900 + at): f"<{one}>" for at, one in enumerate(secrets)}), meter)
    written = json.dumps(found)
    assert [one for one in secrets if one in written] == []
