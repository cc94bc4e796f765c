"""The folder of the Home Assistant app: what it says is what the program does."""

import re
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from support.waiting import LIMIT_S

from esquirell.domain.payload import secret_fields
from esquirell.settings import load
from esquirell.settings.home_assistant_app import BROKER_FILE, OPTIONS
from esquirell.settings.layers import SECTIONS
from esquirell.web.server import INGRESS_PORT

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "home-assistant-app"
SCRIPT = ROOT / "script" / "home-assistant-app"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "config.yaml").read_text())
TEXTS: dict[str, Any] = yaml.safe_load((FOLDER / "translations" / "en.yaml").read_text())
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

every_option = pytest.mark.parametrize("option", OPTIONS)


def test_its_version_is_that_of_the_project() -> None:
    assert CONFIG["version"] == VERSION
    assert f"\n## {VERSION}\n" in (FOLDER / "CHANGELOG.md").read_text()
    assert re.findall("^ARG BUILD_VERSION=(.+)", DOCKERFILE, re.MULTILINE) == [VERSION]


def test_every_option_has_its_texts_and_its_place_in_the_documentation() -> None:
    assert list(CONFIG["schema"]) == list(OPTIONS) == list(TEXTS["configuration"])
    docs = (FOLDER / "DOCS.md").read_text()
    for option, text in TEXTS["configuration"].items():
        assert text["name"][0].isupper()
        assert text["description"].endswith(".")
        assert f"`{option}`" in docs


@every_option
def test_an_option_is_a_setting_and_takes_what_that_takes(option: str) -> None:
    section, key = OPTIONS[option]
    model, kind = SECTIONS[section], CONFIG["schema"][option].removesuffix("?")
    field = model.model_fields[key]
    if key in secret_fields(model):
        assert kind == "password"
    elif listed := re.fullmatch(r"list\((.+)\)", kind):
        assert tuple(listed[1].split("|")) == get_args(field.annotation)
    else:
        assert kind == {int: "port", bool: "bool", str: "str"}[field.annotation]  # type: ignore[index] # one of these


def test_only_options_with_a_value_from_the_start_must_have_one() -> None:
    required = {name for name, kind in CONFIG["schema"].items() if not kind.endswith("?")}
    assert required == set(CONFIG["options"])


def test_it_is_reached_where_the_page_listens() -> None:
    assert CONFIG["ingress"] is True
    assert CONFIG["ingress_port"] == INGRESS_PORT
    assert CONFIG["watchdog"] == f"http://[HOST]:[PORT:{INGRESS_PORT}]/api/v1/health"
    assert "ports" not in CONFIG
    assert str(INGRESS_PORT) in (FOLDER / "DOCS.md").read_text()


def test_it_asks_for_no_more_than_it_needs() -> None:
    assert CONFIG["arch"] == ["aarch64", "amd64"]
    powers = {"privileged", "full_access", "docker_api", "hassio_api", "hassio_role", "host_pid"}
    assert not powers & set(CONFIG)
    assert CONFIG["map"] == ["app_config:rw"]
    assert CONFIG["services"] == ["mqtt:want"]


def test_a_backup_leaves_out_what_is_rebuilt_and_nothing_else() -> None:
    """An app that does not run is copied without an archive being made before."""
    assert CONFIG["backup"] == "hot"

    def is_left_out(name: str) -> bool:
        return any(Path("/data", name).match(pattern) for pattern in CONFIG["backup_exclude"])

    for name in (
        BROKER_FILE,
        "backing-up",
        "backups",
        "redis.sock",
        "redis.log",
        "locks",
        ".mqtt.json.x1",
    ):
        assert is_left_out(name), name
    database = ("esquirell.db", "esquirell.db-wal", "spool.db", "spool.db-wal")
    for name in (*database, "meters", "meters/main.toml", "devices", "web-password", "web-key"):
        assert not is_left_out(name), name
    for name in ("home-assistant.backup", "options.json", "instance", "mqtt.json"):
        assert not is_left_out(name), name


@pytest.mark.parametrize("script", [FOLDER / "app", SCRIPT])
def test_its_scripts_can_be_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    subprocess.run(["/bin/sh", "-n", str(script)], check=True, timeout=LIMIT_S)


def test_its_dockerfile_says_what_home_assistant_asks() -> None:
    for label in ('version="${BUILD_VERSION}"', 'type="app"', 'arch="${BUILD_ARCH}"'):
        assert f"io.hass.{label}" in DOCKERFILE
    assert "build.yaml" not in {file.name for file in FOLDER.iterdir()}
    assert "uv sync --frozen --no-dev" in DOCKERFILE
    assert "://" not in DOCKERFILE


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (360, 100))])
def test_its_pictures_have_the_sizes_that_are_shown(name: str, size: tuple[int, int]) -> None:
    head = (FOLDER / name).read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", head[16:]) == size


def test_the_example_of_its_documentation_can_be_loaded(tmp_path: Path) -> None:
    (example,) = re.findall("```toml\n(.*?)```", (FOLDER / "DOCS.md").read_text(), re.DOTALL)
    file = tmp_path / "esquirell.toml"
    file.write_text(example)
    assert load(file, {"TZ": "UTC"}).tariffs


def test_the_script_makes_a_folder_that_holds_what_is_built(tmp_path: Path) -> None:
    folder = tmp_path / "addons" / "esquirell"
    for _ in range(2):
        made = subprocess.run(
            ["/bin/sh", str(SCRIPT), str(folder)], check=True, capture_output=True, timeout=60
        )
        assert made.stdout.decode().endswith(f"is the app esquirell {VERSION}\n")
    for name in ("config.yaml", "Dockerfile", "app", "DOCS.md", "icon.png"):
        assert (folder / name).read_bytes() == (FOLDER / name).read_bytes()
    source = folder / "source"
    for name in ("uv.lock", "pyproject.toml", "README.md", "LICENSE", "docker/slim.sh"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes()
    assert (source / "esquirell" / "web" / "static" / "icon.svg").exists()
    assert not list(folder.rglob("__pycache__"))


def test_the_script_takes_away_nothing_of_anybody_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    made = subprocess.run(
        ["/bin/sh", str(SCRIPT), str(tmp_path)], check=False, capture_output=True, timeout=60
    )
    assert made.returncode == 2
    assert "name another one" in made.stderr.decode()
    assert (tmp_path / "mine.txt").exists()


def test_no_other_file_is_taken_for_an_app() -> None:
    """The Supervisor looks for files of this name in the whole repository."""
    listed = subprocess.run(
        ["/usr/bin/env", "git", "-C", str(ROOT), "ls-files"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    found = re.findall(r"^(?:.+/)?config\.(?:yaml|yml|json)$", listed.stdout.decode(), re.MULTILINE)
    assert set(found) <= {"home-assistant-app/config.yaml"}
    assert yaml.safe_load((ROOT / "repository.yaml").read_text())["name"] == "esquirell"
