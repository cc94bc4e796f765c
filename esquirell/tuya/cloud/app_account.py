"""Keys and datapoints of the devices in a user's app, who permits it by scanning a QR code.

It is how Home Assistant's own Tuya integration logs in, with Tuya's library for it; a project on
the developer platform is not needed. Tuya gives out no client ids for this login: this is the one
of Home Assistant, as in https://github.com/home-assistant/core (components/tuya/const.py).
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from cryptography.exceptions import InvalidTag
from tuya_sharing import CustomerApi, UserRepository, customerapi
from tuya_sharing.customerapi import CustomerTokenInfo
from tuya_sharing.exceptions import ApiRequestException

from esquirell.domain.errors import MeterUnreachableError
from esquirell.tuya.cloud.account import cloud_error
from esquirell.tuya.cloud.errors import LONGEST_TEXT

_TOKENS = "/v1.0/m/life/home-assistant/qrcode/tokens"
_CLIENT_ID = "HA_3y9q4ak7g4ephrvke"
_SCHEMA = "haauthorize"
_ANSWER_S = 15.0
# How the answer calls it, and how `devices.json` does.
_LISTED = {
    "id": "id",
    "name": "name",
    "local_key": "key",
    "category": "category",
    "product_id": "product_id",
    "product_name": "product_name",
}
# At DEBUG it logs keys, and errors that are raised here as well.
logging.getLogger("tuya_sharing").setLevel(logging.CRITICAL)
# At DEBUG it logs addresses, which hold what a login needs.
logging.getLogger("urllib3").setLevel(logging.WARNING)
customerapi.DEFAULT_TIMEOUT = _ANSWER_S


class AppLogin:
    """A login that waits for the owner of an account to scan its QR code with the app."""

    def __init__(self, user_code: str, url: str) -> None:
        """Request a QR code from a server. Raises MeterUnreachableError (`cloud_error`)."""
        self._user_code = user_code
        self._url = url.rstrip("/")
        self._refusal = ""
        answer = self._ask("POST", _TOKENS, schema=_SCHEMA)
        if not answer.get("success"):
            raise cloud_error(
                f"Tuya gives no QR code ({_words(answer)}): check the user code, in the app under "
                "Me > settings > Account and Security > User Code"
            )
        with _understood():
            self._token = str(answer["result"]["qrcode"])

    @property
    def qr_text(self) -> str:
        """What the QR code holds."""
        return f"tuyaSmart--qrLogin?token={self._token}"

    @property
    def refusal(self) -> str:
        """What Tuya said instead of logging in; it says so as well before the code is scanned."""
        return self._refusal

    def account(self) -> "AppAccount | None":
        """Return the account; None until its owner has confirmed in the app.

        Raises MeterUnreachableError (`cloud_error`).
        """
        answer = self._ask("GET", f"{_TOKENS}/{self._token}")
        if not answer.get("success"):
            self._refusal = _words(answer)
            return None
        with _understood():
            return AppAccount(self._user_code, {**answer["result"], "t": answer["t"]})

    def _ask(self, method: str, path: str, **query: str) -> dict[str, Any]:
        asked = {"clientid": _CLIENT_ID, "usercode": self._user_code, **query}
        with _understood():
            response = requests.request(method, self._url + path, params=asked, timeout=_ANSWER_S)
            answer = response.json()
            if not isinstance(answer, dict):
                raise TypeError
        return answer


class AppAccount:
    """The devices of an app account whose owner has permitted it."""

    def __init__(self, user_code: str, login: Mapping[str, Any]) -> None:
        self._terminal = str(login["terminal_id"])
        token = CustomerTokenInfo(dict(login))
        self._api = CustomerApi(token, _CLIENT_ID, user_code, str(login["endpoint"]), None)

    def devices(self) -> list[dict[str, Any]]:
        """List all devices, keys and datapoints included, as tinytuya's `devices.json` does.

        Raises MeterUnreachableError (`cloud_error`).
        """
        with _understood():
            said = [
                device
                for home in self._get("/v1.0/m/life/users/homes") or ()
                for device in self._get("/v1.0/m/life/ha/home/devices", homeId=home["ownerId"])
                or ()
            ]
            # Devices of one product have the same datapoints.
            first = {_product(device): device["id"] for device in reversed(said)}
            mappings = {product: self._mapping(device) for product, device in first.items()}
            return [
                _listed(device, said) | {"mapping": mappings[_product(device)]} for device in said
            ]

    def log_out(self) -> None:
        """Revoke the permission; never raises."""
        try:
            with _understood():
                UserRepository(self._api).unload(self._terminal)
        except MeterUnreachableError as error:
            logging.getLogger(__name__).debug("the login is left to expire: %s", error)

    def _mapping(self, device_id: str) -> dict[str, Any]:
        """Return the datapoints of a device by number; none where Tuya describes none."""
        try:
            said = self._get(f"/v1.0/m/life/devices/{device_id}/status") or {}
        except ApiRequestException:
            return {}
        return {
            str(point["dpId"]): {
                "code": point.get("dpCode") or point["statusCode"],
                "type": point["valueType"],
                "values": point["valueDesc"],
            }
            for point in said.get("dpStatusRelationDTOS") or ()
        }

    def _get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON is anything
        answer = self._api.get(path, query or None)
        if answer is None:
            raise cloud_error("Tuya's servers report an internal error: try again in a few minutes")
        return answer.get("result")


def _product(device: Mapping[str, Any]) -> str:
    return str(device.get("product_id") or device["id"])


def _listed(device: Mapping[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {name: str(device.get(said) or "") for said, name in _LISTED.items()}
    if not device.get("sub"):
        return entry
    # A device behind a gateway is listed with the gateway's key, and the id that this knows it by.
    gateways = (
        other["id"]
        for other in others
        if not other.get("sub") and other.get("local_key", "") == device.get("local_key") != ""
    )
    return entry | {"sub": True, "node_id": device.get("uuid"), "parent": next(gateways, "")}


@contextmanager
def _understood() -> Iterator[None]:
    """Raise MeterUnreachableError (`cloud_error`) for whatever Tuya's library raises."""
    try:
        yield
    # Without their causes, which hold addresses with what a login needs.
    except ApiRequestException as error:
        said = _words({"code": error.error_code, "msg": error.error_message})
        raise cloud_error(f"Tuya refuses ({said}): try again, with a new QR code") from None
    except requests.JSONDecodeError:
        raise cloud_error(
            "what answers is not Tuya: check the connection to the internet"
        ) from None
    except requests.RequestException as error:
        raise cloud_error(
            f"Tuya can't be reached ({type(error).__name__}): check the connection to the internet"
        ) from None
    # Its library looks into answers without asking what they are.
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        InvalidTag,
    ) as error:
        raise cloud_error(
            f"Tuya answers in a form that is not known ({type(error).__name__}): a newer version "
            "may know it; meanwhile the developer platform has the keys"
        ) from None


def _words(answer: Mapping[str, Any]) -> str:
    text = " ".join(str(answer.get("msg") or "no reason given").split())[:LONGEST_TEXT]
    return f"code {answer.get('code')}: {text}"
