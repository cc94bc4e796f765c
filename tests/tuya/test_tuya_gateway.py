"""Sub-devices, read through their gateway."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.tuya_devices import (
    DEVICE_ID,
    MakeTransport,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    mock_device,
)

from esquirell.domain.meter import Meter, ProtocolVersion

SUB_DPS = {"node1": {"18": 111}, "node2": {"18": 222}}


def through_gateway(
    session: MockSession, request: MockRequest, usual: bytes | None
) -> bytes | None:
    """Answer for the sub-device that is meant, after a report of the other one."""
    if b"cid" not in request.payload:
        return usual
    cid = json.loads(request.payload)["cid"]
    (other,) = SUB_DPS.keys() - {cid}
    return b"".join(
        frame(session, command, json.dumps({"cid": one, "dps": SUB_DPS[one]}).encode())
        for command, one in ((8, other), (request.cmd, cid))
    )


def a_sub_meter(port: int, version: ProtocolVersion, cid: str) -> Meter:
    gateway = a_meter(port, version, name=cid)
    changes = {"gateway": DEVICE_ID, "device_id": f"id-{cid}", "cid": cid}
    return gateway.model_copy(update=changes)


@pytest.mark.parametrize("version", ["3.3", "3.4", "3.5"])
def test_sub_devices_take_turns_on_their_gateway(
    make_transport: MakeTransport, version: ProtocolVersion
) -> None:
    transport = make_transport(keep="kept")
    with mock_device(version, through_gateway) as device, ThreadPoolExecutor(2) as pool:
        meters = [a_sub_meter(device.port, version, cid) for cid in SUB_DPS]
        assert list(pool.map(transport.dps, meters)) == list(SUB_DPS.values())
        assert list(pool.map(transport.dps, meters)) == list(SUB_DPS.values())


def test_a_gateway_needs_a_node_id() -> None:
    with pytest.raises(ValueError, match="gateway and cid go together"):
        Meter.model_validate(a_meter(1).model_dump() | {"gateway": DEVICE_ID})
