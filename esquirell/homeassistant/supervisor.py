"""The client of Home Assistant's Supervisor, which starts this program as an app."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from esquirell.domain.errors import UnavailableError

ADDRESS = ("supervisor", 80)
LIMIT_S = 10.0
_LARGEST = 1 << 20
_OK, _BAD_REQUEST = 200, 400


class MqttService(BaseModel):
    """The MQTT broker of this Home Assistant, with a login for apps."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str
    port: int
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl: bool = False


def mqtt_service(token: str) -> MqttService | None:
    """Return the broker that apps use, None if there is none. Raises UnavailableError."""
    status, answer = _get("/services/mqtt", token)
    # With the same status it says that it is not ready yet.
    if status == _BAD_REQUEST and "not enabled" in str(answer.get("message")):
        return None
    if status != _OK:
        raise _silent(f"it answered {status}")
    try:
        return MqttService.model_validate(answer.get("data"))
    except ValidationError:
        pass
    # Out here, it carries no pydantic error along: that one holds the values.
    raise _silent("its answer names no host and port")


def _get(path: str, token: str) -> tuple[int, dict[str, Any]]:
    try:
        with closing(HTTPConnection(*ADDRESS, timeout=LIMIT_S)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            found = json.loads(answer.read(_LARGEST) or b"{}")
    except (OSError, HTTPException, ValueError) as error:
        raise _silent(str(error) or type(error).__name__) from error
    return answer.status, found if isinstance(found, dict) else {}


def _silent(reason: str) -> UnavailableError:
    return UnavailableError(
        f"Home Assistant's Supervisor does not name the MQTT broker ({reason}): "
        "it is asked again every minute"
    )
