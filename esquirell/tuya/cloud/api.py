"""tinytuya's client of the cloud, over connections with time limits and counted requests."""

import hashlib
import hmac
import http.client
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from esquirell.domain.device import Device
from esquirell.domain.payload import read_foreign
from esquirell.tuya.cloud.account import Account, Quota, cloud_error
from esquirell.tuya.cloud.errors import (
    TOKEN_EXPIRED,
    RefusedError,
    nonsense,
    refused,
    unreachable,
)
from esquirell.tuya.tinytuya_import import tinytuya

_PRODUCT = ("product_id", "category", "product_name")
_LISTED = ("id", "name", *_PRODUCT, "sub", "gateway_id")

ANSWER_S = 5.0
TURN_S = 15.0
LONGEST_ANSWER = 4 * 1024 * 1024


class Details(NamedTuple):
    """A device in the cloud: its product, whether it is online, its key and its values."""

    device: Device
    online: bool
    local_key: str
    values: dict[str, Any]


class CloudApi(tinytuya.Cloud):
    """Sends one request at a time, and raises what tinytuya returns as an error.

    tinytuya brings the regions, the paths, the paged lists and the mapping of datapoints. Its
    way to the server is replaced: it supports only https, has no timeout, and sends the secret
    with each request for a token.
    """

    def __init__(self, account: Account, quota: Quota) -> None:
        """Request a token. Raises MeterUnreachableError."""
        self._account = account
        self._quota = quota
        self._turn = threading.RLock()
        secret = account.api_secret.get_secret_value()
        super().__init__(account.region, account.api_key, secret)

    def listed(self) -> list[dict[str, Any]]:
        """Return all devices of the account, requesting the datapoints of each product once."""
        points: dict[str, dict[str, Any]] = {}
        found = []
        for said in self.getdevices(verbose=True)["result"]:
            product_id, category, name = (str(said.get(key) or "") for key in _PRODUCT)
            if product_id not in points:
                product = Device(product_id, category, name)
                points[product_id] = dict(self.described(said["id"], product).mapping)
            kept = {key: said[key] for key in _LISTED if key in said}
            key = str(said.get("local_key") or "")
            found.append({**kept, "key": key, "mapping": points[product_id]})
        return found

    def details(self, device_id: str) -> Details:
        """Return a device with its values by code. Raises MeterUnreachableError."""
        said = self._get(f"/v1.0/devices/{device_id}")
        product_id, category, name = (str(said.get(key) or "") for key in _PRODUCT)
        product = Device(product_id, category, name)
        values = {value["code"]: value["value"] for value in said.get("status") or ()}
        return Details(product, bool(said["online"]), str(said.get("local_key") or ""), values)

    def shadow(self, device_id: str) -> dict[str, Any]:
        """Return the values by code that are not part of the standard set."""
        said = self._get(f"/v2.0/cloud/thing/{device_id}/shadow/properties")
        return {value["code"]: value["value"] for value in said["properties"]}

    def described(self, device_id: str, product: Device) -> Device:
        """Return a device with the datapoints of its product: the standard ones and its model's."""
        points = self._model(device_id) | self._specification(product.product_id, device_id)
        by_id = {name: point for name, point in points.items() if name.isdecimal()}
        others = {name: point for name, point in points.items() if name not in by_id}
        return replace(product, mapping=by_id, spec=others)

    def _specification(self, product_id: str, device_id: str) -> dict[str, Any]:
        try:
            return dict(self.getmapping(product_id, device_id) or {})
        except RefusedError:
            return {}

    def _model(self, device_id: str) -> dict[str, Any]:
        """Return the datapoints of the model; some projects are not subscribed to it."""
        try:
            return read_model(self._get(f"/v2.0/cloud/thing/{device_id}/model")["model"])
        except RefusedError:
            return {}

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON is anything
        return self.cloudrequest(path)["result"]

    # Called by tinytuya, with these arguments, for every request.
    def _tuyaplatform(  # noqa: PLR0913, PLR0917
        self,
        uri: str,
        action: str = "GET",
        post: object = None,
        ver: str | None = "v1.0",
        recursive: bool = False,
        query: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        del action, post, content_type  # nothing is ever changed in the cloud
        path = f"/{ver}/{uri}" if ver else uri
        if query:
            path += "?" + urlencode(sorted(query.items()), safe=",")
        if not self._turn.acquire(timeout=TURN_S):
            raise cloud_error("the Tuya cloud is slow, and other meters wait for it: try again")
        try:
            return self._ask(path, renew=not recursive)
        finally:
            self._turn.release()

    def _ask(self, path: str, *, renew: bool) -> dict[str, Any]:
        self._quota.spend()
        answer = self._fetch(path)
        if answer.get("success"):
            return answer
        error = refused(answer)
        if error.number in TOKEN_EXPIRED and renew and self.token:
            self._gettoken()
            return self._ask(path, renew=False)
        raise error

    def _fetch(self, path: str) -> dict[str, Any]:
        base = urlsplit(self._account.url or f"https://{self.urlhost}")
        secure = base.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(base.hostname or "", base.port, timeout=ANSWER_S)
        try:
            connection.request("GET", path, headers=self._headers(path))
            response = connection.getresponse()
            body = response.read(LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(base.netloc, str(error) or type(error).__name__) from error
        finally:
            connection.close()
        answer = read_foreign(body)
        if not answer:
            raise nonsense(base.netloc, response.status)
        return answer

    def _headers(self, path: str) -> dict[str, str]:
        """Sign a request: https://developer.tuya.com/en/docs/iot/singnature?id=Ka43a5mtx1gsc ."""
        now = str(int(time.time() * 1000))
        token = {"access_token": self.token} if self.token else {}
        nothing = hashlib.sha256(b"").hexdigest()
        signed = f"{self.apiKey}{self.token or ''}{now}GET\n{nothing}\n\n{path}"
        secret = self._account.api_secret.get_secret_value().encode()
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest().upper()
        return token | {
            "client_id": self._account.api_key,
            "sign": signature,
            "t": now,
            "sign_method": "HMAC-SHA256",
        }


_TYPES = {
    "value": "Integer",
    "float": "Float",
    "bool": "Boolean",
    "enum": "Enum",
    "string": "String",
    "raw": "Raw",
    "bitmap": "Bitmap",
}


def read_model(text: str) -> dict[str, Any]:
    """Convert a thing model to the mapping of a `devices.json`: code, type and values by DP id.

    Layout: https://developer.tuya.com/en/docs/cloud/device-data-model-api . Raises
    KeyError or TypeError if it is not a thing model.
    """
    services = read_foreign(text)["services"]
    properties = [declared for service in services for declared in service.get("properties", [])]
    return {str(declared["abilityId"]): _point(declared) for declared in properties}


def _point(declared: dict[str, Any]) -> dict[str, Any]:
    values = dict(declared["typeSpec"])
    kind = str(values.pop("type", "raw"))
    return {"code": declared["code"], "type": _TYPES.get(kind, kind), "values": values}
