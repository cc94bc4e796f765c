"""Tuya's cloud on loopback: signatures are checked, tokens expire, and what else goes wrong."""

import hashlib
import hmac
import json
import time
from collections import Counter
from email.message import Message
from typing import Any

from support.http_server import LoopbackServer, failure, success

API_KEY = "p1a2b3c4d5e6f7"
API_SECRET = "0123$#='(secret456789abcdef"
DEVICE_ID = "bf0123456789abcdefghij"
PRODUCT = "gqmmtjclqb7reg5p"
LONGEST_SKEW_S = 300

PLUG = {
    "18": {"code": "cur_current", "type": "Integer", "values": '{"unit":"mA","scale":0}'},
    "19": {"code": "cur_power", "type": "Integer", "values": '{"unit":"W","scale":1}'},
    "20": {"code": "cur_voltage", "type": "Integer", "values": '{"unit":"V","scale":1}'},
}


def device(device_id: str = DEVICE_ID, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Describe a device as the cloud does."""
    return {
        "id": device_id,
        "name": "Plug",
        "local_key": "cloud$key=(6789a",
        "product_id": PRODUCT,
        "category": "cz",
        "product_name": "Metering plug",
        "online": True,
        "uid": "user1",
        "status": [{"code": "cur_power", "value": 2500}, {"code": "cur_voltage", "value": 2301}],
        "specification": PLUG,
    } | said


def model(points: dict[int, str]) -> str:
    """Write a thing model of whole numbers."""
    typed = {"type": "value", "unit": "V", "scale": 1}
    properties = [{"abilityId": dp, "code": code, "typeSpec": typed} for dp, code in points.items()]
    return json.dumps({"modelId": "m", "services": [{"properties": properties}]})


class TuyaCloud(LoopbackServer):
    """Answers like openapi.tuyaeu.com; `failures` maps paths to answers that are errors."""

    def __init__(self, *devices: dict[str, Any]) -> None:
        super().__init__()
        self.devices = {one["id"]: one for one in devices}
        self.failures: dict[str, dict[str, Any] | bytes] = {}
        self.asked: Counter[str] = Counter()
        self.tokens = 0

    @property
    def requests(self) -> int:
        return self.asked.total()

    def expire_token(self) -> None:
        self.tokens += 1

    def reply(self, method: str, target: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        del method, body
        self.asked[target] += 1
        if target in self.failures:
            said = self.failures[target]
        else:
            said = self._refusal(target, headers) or self._result(target)
        return 200, said if isinstance(said, bytes) else json.dumps(said).encode()

    def _refusal(self, path: str, headers: Message) -> dict[str, Any] | None:
        token = headers.get("access_token", "")
        if headers["client_id"] != API_KEY:
            return failure(1005, "clientId is invalid")
        text = API_KEY + token + headers["t"] + "GET\n" + hashlib.sha256(b"").hexdigest()
        signed = hmac.new(API_SECRET.encode(), f"{text}\n\n{path}".encode(), hashlib.sha256)
        if headers["sign"] != signed.hexdigest().upper() or "secret" in headers:
            return failure(1004, "sign invalid")
        if abs(int(headers["t"]) / 1000 - time.time()) > LONGEST_SKEW_S:
            return failure(1013, "request time is invalid")
        if not path.startswith("/v1.0/token") and token != f"token{self.tokens}":
            return failure(1010, "token invalid")
        return None

    def _result(self, path: str) -> dict[str, Any]:
        if path.startswith("/v1.0/token"):
            self.tokens += 1
            return success({"access_token": f"token{self.tokens}", "expire_time": 7200})
        if path.startswith("/v1.0/iot-01/associated-users/devices?"):
            return success(self._page(path))
        if path.startswith("/v1.3/iot-03/devices?"):
            return success({"list": list(self.devices.values()), "has_more": False})
        for one in self.devices.values():
            for known, found in self._known(one).items():
                if path == known:
                    return found
        return failure(1106, "permission deny")

    def _page(self, path: str) -> dict[str, Any]:
        """Return one device at a time; the list has no keys."""
        names = list(self.devices)
        last = path.partition("last_row_key=")[2].partition("&")[0]
        at = names.index(last) + 1 if last else 0
        listed = {key: one for key, one in self.devices[names[at]].items() if key != "local_key"}
        more = at + 1 < len(names)
        return {"devices": [listed], "last_row_key": names[at], "has_more": more}

    def _known(self, one: dict[str, Any]) -> dict[str, dict[str, Any]]:
        thing = f"/v2.0/cloud/thing/{one['id']}"
        points = [{"dp_id": int(dp)} | point for dp, point in one["specification"].items()]
        unknown = failure(2009, "not support this device")
        return {
            f"/v1.0/devices/{one['id']}": success(one),
            f"/v1.1/devices/{one['id']}/specifications": success({"status": points})
            if points
            else unknown,
            f"{thing}/model": success({"model": one["model"]}) if "model" in one else unknown,
            f"{thing}/shadow/properties": success({"properties": one.get("shadow", [])}),
        }
