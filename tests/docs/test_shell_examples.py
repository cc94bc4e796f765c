"""The shell commands of the documentation, run by a shell beside a service of their own.

What can't be run here is listed with its reason; every other command has to be.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cli import esquirell_process
from support.compose import load as compose
from support.docs import ROOT, Block, blocks, words
from support.house import RESPONSE, House, whole_house
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

SHELL = list(blocks("sh"))
METERS = ("main", "house", "heat-pump", "garage", "cellar")
TARIFFS = """
[[tariffs]]
name = "home"
currency = "EUR"
import_price = 0.30

[[tariffs]]
name = "other"
currency = "EUR"
import_price = 0.25
meters = []
"""

# Each of these changes the machine, or needs another one.
ELSEWHERE = {
    "apt": "installs packages; tests/systemd does on a Debian of its own",
    "pip": "installs esquirell; tests/systemd and `make install` do",
    "pipx": "installs esquirell for a user",
    "uv": "installs esquirell for a user",
    "python3": "makes an environment",
    "git": "needs the repository's address",
    "ssh": "needs another machine",
    "docker": "its files and services are checked below; tests/compose runs them",
    "systemctl": "needs systemd; see tests/systemd",
    "journalctl": "needs systemd; see tests/systemd",
    "postgres": "runs as the user of the PostgreSQL server",
    "nano": "an editor",
    "node": "needs Node.js, which tuya-cli came with",
    "make": "runs all tests, this one too; test_architecture.py checks its targets",
    "demo": "see tests/demo",
    "test": "runs all tests, this one too; test_readme.py checks its syntax",
    "sh": "see tests/systemd and tests/home_assistant_app",
    "sqlite3": "a prompt; the queries typed there are run in tests/storage/test_views.py",
    "python": "tinytuya's wizard needs an account with Tuya",
    **dict.fromkeys(("cd", "cp", "cat", "mkdir", "chmod", "rm", "echo", "install"), "a file"),
    **dict.fromkeys(("for", "done"), "a loop around ssh"),
}
# Commands of esquirell that ask, run on, change the machine or need a partner that is not here.
APART = {
    "init": "asks; see tests/cli/test_init.py",
    "run": "runs on: it is the service beside which everything else runs here",
    "worker": "runs on; see tests/daemon/test_queues.py",
    "flower": "runs on; see tests/flower",
    "systemd": "needs systemd; see tests/systemd",
    "scan": "needs devices that announce themselves; see tests/cli/test_cli_scan.py",
    "restore": "needs the service stopped; see tests/cli/test_cli_archive.py",
    "ha": "needs Home Assistant; see tests/backfill",
    "meters add": "needs a device and its list; see tests/cli/test_cli_adding.py",
    "meters sync": "needs Tuya's cloud; see tests/cli/test_cli_sync.py",
    "db readings": "needs readings of a wrong clock; see tests/cli/test_cli_corrections.py",
    "meters counter": "needs a counter with an offset; see tests/cli/test_cli_corrections.py",
    "db restore": "needs the service stopped; see tests/cli/test_cli_db.py",
    "db move": "needs PostgreSQL; see tests/storage/test_moving.py",
    "profiles": "needs the files of its page; see test_own_profile.py",
}
CALL = re.compile(r"(?:sudo )?(?:\S*/)?esquirell(?: |$)")


def program(line: str) -> str:
    """Return the name of the program that a line runs; empty if it sets a variable."""
    parts = [word for word in words(line) if not re.match(r"[A-Z_]+=", word)]
    if parts[:1] == ["sudo"]:
        parts = parts[2:] if parts[1] == "-u" else parts[1:]
    return Path(parts[0]).name if parts else ""


def lines(*programs: str) -> list[object]:
    found = [(block, line) for block in SHELL for line in block.lines if words(line)]
    return [
        pytest.param(line, id=f"{block.page.name}: {line}"[:90])
        for block, line in found
        if program(line) in programs
    ]


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.page.name)
def test_a_shell_understands_every_block(block: Block) -> None:
    subprocess.run(["/bin/sh", "-n", "-c", block.text], check=True, timeout=LIMIT_S)


def test_every_command_is_run_or_left_out_for_a_reason() -> None:
    run = {"", "esquirell", "curl", "mosquitto_pub", "mosquitto_sub", "mosquitto_rr"}
    named = {program(line) for block in SHELL for line in block.lines if words(line)}
    assert named - run - ELSEWHERE.keys() == set()
    assert ELSEWHERE.keys() - named == set(), "no page has these any more"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("house")
    own_tasks = [one.text for one in blocks("python") if one.page.name == "own-tasks.md"]
    (folder / "my_house.py").write_text("\n".join([*own_tasks[:3], own_tasks[4]]))
    (prices,) = [one.text for one in blocks("text") if one.text.startswith("start,price")]
    (folder / "prices.csv").write_text(prices)
    return folder


@pytest.fixture(scope="module")
def web_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def house(folder: Path, web_port: int) -> Iterator[House]:
    def complete(config: str) -> str:
        config = config.replace("web.port = 0", f"web.port = {web_port}")
        return f'{config}\n[tasks]\nmodules = ["my_house"]\n{TARIFFS}'

    with whole_house(folder, METERS, complete) as house:
        yield house


def shell(folder: Path, line: str, **variables: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("line", lines("mosquitto_pub"))
def test_what_is_published_is_answered(house: House, line: str) -> None:
    house.observer.forget()
    house.ask("schedule/reset", name="fetch")
    for name in ("night", "monthly"):
        house.ask("schedule/remove", name=name)
    house.observer.forget()
    shell(house.service.folder, f"{line.partition('   #')[0]} -p {house.broker.port}")
    if "-r" in words(line):
        # It clears what was retained, and is no command.
        house.ask("health")
        assert not [one for one in house.observer.messages if one.topic.endswith("/remove")][1:]
        return
    asks_for_itself = "response-topic" in line
    answers = "answers/me" if asks_for_itself else f"{RESPONSE}/"
    seen = house.observer.saw(lambda one: one.topic.startswith(answers))
    assert seen.json["status"] in {"ok", "accepted"}, seen.json


@pytest.mark.parametrize("line", lines("mosquitto_rr"))
def test_a_request_with_a_response_topic_is_answered(house: House, line: str) -> None:
    command = f"{line} -p {house.broker.port} -W 30"
    # The first may be the answer to an earlier command with the same response topic.
    eventually(lambda: '"schedules":' in shell(house.service.folder, command))


@pytest.mark.parametrize("line", lines("mosquitto_sub"))
def test_a_subscription_shows_what_is_published(house: House, line: str) -> None:
    command = f"exec {line} -p {house.broker.port} -C 1 -W 60"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True) as shown:
        # It says nothing once it has subscribed: so something is asked until it is seen.
        eventually(lambda: house.ask("health") and shown.poll() is not None)
        assert shown.stdout is not None
        assert shown.stdout.read().startswith("esquirell/")


@pytest.mark.parametrize("line", lines("curl"))
def test_the_api_answers(house: House, web_port: int, line: str) -> None:
    config = ("--config", str(house.service.config))
    name = f"docs-{len(line)}"
    added = esquirell_process(*config, "web", "token", "add", name, "--write", "--json").json
    here = line.replace("127.0.0.1:8155", f"127.0.0.1:{web_port}")
    answer = shell(house.service.folder, f"{here} --fail --silent", TOKEN=added["token"])
    assert answer


def arguments(line: str) -> list[str]:
    found = CALL.match(line)
    assert found
    return words(re.split(r" [|&;>] ", line[found.end() :])[0])


def command(given: list[str]) -> str:
    """Return which command it is, as `APART` names it."""
    plain = [word for word in given if not word.startswith("-")]
    both = " ".join(plain[:2])
    return both if both in APART else "".join(plain[:1])


CALLS = [
    pytest.param(given, id=f"{block.page.name}: {shlex.join(given)}"[:90])
    for block in SHELL
    for line in block.lines
    if words(line) and program(line) == "esquirell"
    for given in [arguments(line)]
    if command(given) not in APART
]


@pytest.mark.parametrize("given", CALLS)
def test_a_command_does_what_the_page_says(house: House, folder: Path, given: list[str]) -> None:
    here = [word.replace("/media/usb", str(folder)).replace("NAME", "main") for word in given]
    (folder / "capture.json").unlink(missing_ok=True)
    done = esquirell_process(*here, "--config", str(house.service.config), folder=folder)
    assert done.code == 0, done.err


def test_most_commands_are_run() -> None:
    assert len(CALLS) > 35


def services(file: str) -> dict[str, dict[str, Any]]:
    return dict(compose(file)["services"])


VERBS = {"up", "run", "restart", "exec", "down", "ps", "logs", "cp", "build"}
NAMING = {"run", "restart", "exec", "logs", "build"}


@pytest.mark.parametrize("line", lines("docker"))
def test_compose_files_profiles_and_services_exist(line: str) -> None:
    parts = words(line)
    parts = parts[parts.index("docker") + 1 :]
    if parts[0] != "compose":
        assert parts[0] in {"tag", "image"}
        return
    (number, verb) = next((at, word) for at, word in enumerate(parts) if word in VERBS)
    options = list(pairwise(parts[:number]))
    files = [value for name, value in options if name == "-f"] or ["docker-compose.yml"]
    known = {name: one for file in files for name, one in services(file).items()}
    profiles = {name for one in known.values() for name in one.get("profiles", [])}
    assert {value for name, value in options if name == "--profile"} <= profiles
    if verb in NAMING:
        assert any(word in known for word in parts[number:]), line


@pytest.mark.parametrize("block", list(blocks("yaml")), ids=lambda block: block.page.name)
def test_every_yaml_block_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


def test_mosquitto_accepts_the_access_list(tmp_path: Path) -> None:
    (rules,) = [one.text for one in blocks("text") if one.text.startswith("user ")]
    (tmp_path / "acl").write_text(rules)
    (tmp_path / "acl").chmod(0o600)
    broker = Mosquitto(tmp_path, ("allow_anonymous true", f"acl_file {tmp_path}/acl"))
    broker.start()
    broker.stop()


# What is in no shell, and where it is tried, or why it can't be.
OTHERS = {
    "toml": "test_examples.py; profiles in test_own_profile.py",
    "sql": "tests/storage/test_views.py and tests/storage/test_grafana.py",
    "json": "test_mqtt_docs.py; the capture in test_own_profile.py",
    "python": "test_own_tasks.py",
    "yaml": "above; the automations in test_mqtt_docs.py",
    "nginx": "tests/proxy/test_nginx.py",
    "csv": "tests/cli/test_init_devices.py",
    "text": "a drawing, an output or a file, unless a test above reads it",
    "sh": "above",
}


def test_every_kind_of_block_has_a_test_or_a_reason() -> None:
    assert {block.language for block in blocks()} == OTHERS.keys()
    reasons = [*OTHERS.values(), *ELSEWHERE.values(), *APART.values()]
    for reason in reasons:
        for path in re.findall(r"tests/[\w/]+(?:\.py)?", reason):
            assert (ROOT / path).exists(), path
        for name in re.findall(r"(?<!/)\btest_\w+\.py", reason):
            assert (Path(__file__).parent / name).exists(), name
