"""Forms of the page about meters, filled in."""

import json
from typing import Any

from support.page import Browser, Reply
from support.service import KEY

from esquirell.tuya.simulator import SimulatedMeter

OTHER_KEY = "fedcba9876543210"


def upload(browser: Browser, path: str, content: bytes, **fields: str) -> Reply:
    """Send a file as a browser does (RFC 7578)."""
    boundary = "----esquirell"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in ({"_xsrf": browser.token} | fields).items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="devices"; filename="devices.json"'
        "\r\nContent-Type: application/json\r\n\r\n"
    )
    body = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
    return browser.ask(
        "POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )


def devices(**fields: Any) -> bytes:  # noqa: ANN401 - JSON is anything
    entry = {
        "name": "Barn <1>",
        "id": "id-barn",
        "key": KEY,
        "product_id": "gqmmtjclqb7reg5p",
        "category": "zndb",
        "version": "3.4",
        "mapping": {"101": {"code": "voltage_a", "type": "Integer"}},
    }
    return json.dumps([entry | fields]).encode()


def form(barn: SimulatedMeter, command: str, **fields: str) -> dict[str, str]:
    return {
        "command": command,
        "place": "form",
        "device": "id-barn",
        "device_id": "id-barn",
        "name": "barn",
        "label": "Barn",
        "area": "Yard",
        "address": "127.0.0.1",
        "port": str(barn.port),
        "protocol": "3.4",
        "profile": "owon_pc321",
    } | fields
