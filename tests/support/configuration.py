"""A folder with a configuration, and the result of loading it."""

import os
from pathlib import Path

import pytest

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, load

KEY = "0123$#=('456789a"
METER = f"""
[[meters]]
name = "main"
device_id = "bf0123456789abcdefghij"
local_key = "{KEY}"
"""


def meter_named(name: str) -> str:
    """Write the table of another meter, with a device of its own."""
    return METER.replace('"main"', f'"{name}"').replace("bf0123456789abcdefghij", f"bf{name}")


class ConfigurationFolder:
    """Writes files, and loads the configuration among them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "esquirell.toml"

    def put(self, name: str, text: str, mode: int = 0o600) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        file.chmod(mode)
        return file

    def load(self, toml: str, mode: int = 0o600, /, **environ: str) -> Settings:
        self.put("esquirell.toml", toml, mode)
        return load(self.file, {"TZ": "Europe/Warsaw"} | environ)

    def refusal(self, toml: str, /, **environ: str) -> str:
        """Return the one sentence that refuses a configuration, without the folder's name."""
        with pytest.raises(ConfigError) as caught:
            self.load(toml, **environ)
        sentence = str(caught.value)
        assert "\n" not in sentence
        return sentence.replace(f"{self.path}{os.sep}", "")
