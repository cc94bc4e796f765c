"""The cloud behind Tuya's app on loopback: QR codes, then signed and encrypted questions.

As tuya-device-sharing-sdk 0.2.15 asks, from which the keys and signatures are known.
"""

import base64
import hashlib
import hmac
import json
import os
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.http_server import LoopbackServer, failure, success

USER_CODE = "aB3dE5f"
TOKEN, REFRESH = "access-token-1", "refresh-token-1"
_SIGNED = ("X-appKey", "X-requestId", "X-sid", "X-time", "X-token")


def relation(dp: int, code: str, scale: int, unit: str) -> dict[str, Any]:
    """Describe a datapoint as the cloud does."""
    described = json.dumps({"unit": unit, "min": 0, "max": 99999, "scale": scale, "step": 1})
    return {
        "dpId": dp,
        "dpCode": code,
        "statusCode": code,
        "valueConvert": "default",
        "valueType": "Integer",
        "valueDesc": described,
        "statusFormat": f'{{"{code}":"$"}}',
        "enumMappingMap": {},
        "supportLocal": True,
    }


PLUG = (
    relation(18, "cur_current", 0, "mA"),
    relation(19, "cur_power", 1, "W"),
    relation(20, "cur_voltage", 1, "V"),
)


def device(device_id: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Describe a device as the cloud does; `ip` is that of the house on the internet."""
    return {
        "id": device_id,
        "name": "Plug",
        "local_key": "app$key=(6789abc",
        "product_id": "gqmmtjclqb7reg5p",
        "category": "cz",
        "product_name": "Metering plug",
        "sub": False,
        "uuid": f"uuid{device_id}",
        "ip": "203.0.113.7",
        "online": True,
        "status": [],
    } | said


class TuyaApp(LoopbackServer):
    """Issues QR codes; after `scanned`, the devices can be listed."""

    def __init__(self, *devices: dict[str, Any], scanned_after: int = 1) -> None:
        super().__init__()
        self.devices = devices
        self.points: dict[str, tuple[dict[str, Any], ...] | None] = {
            one["id"]: PLUG for one in devices if one["category"] == "cz"
        }
        self.broken = b""
        # How many answers are errors of the server, and with which key others are enciphered.
        self.errors = 0
        self.refresh = REFRESH
        self.asked: list[str] = []
        self.logged_out = False
        self._unscanned = scanned_after

    def reply(self, method: str, target: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        answer = self._answer(method, target, headers, body)
        self.errors -= 1
        return (503 if self.errors >= 0 else 200), answer

    def _answer(self, method: str, target: str, headers: Message, body: bytes) -> bytes:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(f"{method} {parts.path}")
        if self.broken:
            return self.broken
        if "/qrcode/tokens" in parts.path:
            return json.dumps(self._login(method, parts.path, query)).encode()
        return json.dumps(self._enciphered(parts.path, query, headers, body)).encode()

    def _login(self, method: str, path: str, query: dict[str, str]) -> dict[str, Any]:
        if query["usercode"] != USER_CODE:
            return failure(-9999999, "user code is wrong")
        if method == "POST":
            return success({"qrcode": "qr-token-1"})
        self._unscanned -= 1
        if not path.endswith("/qr-token-1") or self._unscanned >= 0:
            return failure(-9999999, "not scanned")
        return success(
            {
                "access_token": TOKEN,
                "refresh_token": REFRESH,
                "expire_time": 7200,
                "uid": "user1",
                "terminal_id": "terminal1",
                "endpoint": self.url,
            }
        )

    def _enciphered(
        self,
        path: str,
        query: dict[str, str],
        headers: Message,
        body: bytes,
    ) -> dict[str, Any]:
        request_id = headers["X-requestId"]
        digest = hashlib.md5((request_id + REFRESH).encode(), usedforsecurity=False).hexdigest()
        secret = hmac.new(request_id.encode(), digest.encode(), hashlib.sha256).hexdigest()[:16]
        sent = json.loads(body)["encdata"] if body else ""
        lines = [f"{name}={headers[name]}" for name in _SIGNED if headers.get(name)]
        text = "||".join(lines) + query.get("encdata", "") + sent
        if (
            hmac.new(digest.encode(), text.encode(), hashlib.sha256).hexdigest()
            != headers["X-sign"]
        ):
            return failure(1004, "sign invalid")
        if headers["X-token"] != TOKEN:
            return failure(1010, "token invalid")
        asked = _decipher(query["encdata"], secret) if "encdata" in query else {}
        result = self._result(path, asked)
        if result is None:
            return failure(1106, "permission deny")
        nonce = os.urandom(12)
        if self.refresh != REFRESH:
            secret = "0123456789abcdef"
        sealed = AESGCM(secret.encode()).encrypt(nonce, json.dumps(result).encode(), None)
        return success(base64.b64encode(nonce + sealed).decode())

    def _result(self, path: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if path == "/v1.0/m/life/users/homes":
            return [{"ownerId": 71, "name": "Home"}]
        if path == "/v1.0/m/life/ha/home/devices":
            return list(self.devices) if str(asked["homeId"]) == "71" else []
        if path == "/v1.0/m/token/terminal/expire":
            self.logged_out = True
            return True
        for name, points in self.points.items():
            if path == f"/v1.0/m/life/devices/{name}/status":
                return {"productKey": "p", "dpStatusRelationDTOS": points and list(points)}
        return None


def _decipher(text: str, secret: str) -> dict[str, Any]:
    # The nonce and the rest are two encodings side by side.
    nonce, sealed = base64.b64decode(text[:16]), base64.b64decode(text[16:])
    found: dict[str, Any] = json.loads(AESGCM(secret.encode()).decrypt(nonce, sealed, None))
    return found
