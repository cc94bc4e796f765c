"""`esquirell init` in this process, in a folder of its own."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner, Result
from support.configuration import KEY

from esquirell.cli.init import init
from esquirell.domain.errors import ConfigError

FIRST = "0bf0123456789"  # the first in a list, whoever else is heard
COMMAND = [sys.executable, "-m", "esquirell", "init"]


def run(*arguments: str, answers: Sequence[str] = ()) -> Result:
    text = "".join(f"{answer}\n" for answer in answers)
    return CliRunner().invoke(init, arguments, input=text, env={"TZ": "Europe/Warsaw"})


def refusal(*arguments: str, answers: Sequence[str] = ()) -> str:
    """Return the sentence of the error, which the caller of the command shows."""
    error = run(*arguments, answers=answers).exception
    assert isinstance(error, ConfigError)
    return str(error)


def put_devices(folder: Path) -> Path:
    plug = {"18": "cur_current", "19": "cur_power", "20": "cur_voltage"}
    mapping = {dp: {"code": code, "type": "Integer", "values": {}} for dp, code in plug.items()}
    known = {"id": "bf01", "key": KEY, "ip": "192.168.1.50", "version": "3.3", "category": "cz"}
    devices = [
        known | {"name": "Küche Steckdose", "mapping": mapping, "product_id": "abc"},
        known
        | {
            "id": "bf03",
            "name": "Lamp",
            "mapping": {"20": {"code": "switch_led"}},
            "category": "dj",
        },
    ]
    file = folder / "devices.json"
    file.write_text(json.dumps(devices))
    file.chmod(0o600)
    return file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
