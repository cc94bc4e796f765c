"""The service under a real systemd, as the guide for a Raspberry Pi installs it.

The tests of a machine build on each other, in their order: installed, configured, disturbed,
taken apart, removed. They run only where SYSTEMD_HARNESS names a program that boots machines.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.service import KEY, configuration, meter_table
from support.systemd_machine import HARNESS, Machine
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
PROGRAM = "/home/pi/esquirell/.venv/bin/esquirell"

# A meter, on its real port, of the simulator that the demo has, too.
METER = f"""
import threading
from esquirell.tuya.simulator import SimulatedMeter
SimulatedMeter("id-main", {KEY!r}, "3.4", lambda: {{"101": 2361, "131": 106421}}, port=6668).start()
threading.Event().wait()
"""
# A user's module whose scheduler hangs once a file says so.
HANG = """
import os, threading
from esquirell.beat.scheduler import Scheduler
tick = Scheduler.tick
def hang(self, *args, **kwargs):
    if os.path.exists("/var/lib/esquirell/hang"):
        threading.Event().wait()
    return tick(self, *args, **kwargs)
Scheduler.tick = hang
"""
SANDBOX = """
import mmap, socket
def refused(act):
    try:
        act()
    except OSError:
        return True
    return False
assert refused(lambda: open("/etc/esquirell/x", "w"))
assert refused(lambda: open("/usr/x", "w"))
assert refused(lambda: open("/etc/esquirell/credentials/mqtt__password"))
assert refused(lambda: mmap.mmap(-1, 4096, prot=7))
open("/var/lib/esquirell/x", "w").close()
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor().update(bytes(16))
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
channel.bind(("", 6667))
channel.settimeout(5)
channel.sendto(b"x", ("255.255.255.255", 6667))
assert channel.recv(9) == b"x"
"""
# What a browser does, with a user and password where they are given.
ASK_FLOWER = """
import base64, sys, urllib.request as web
login = {"Authorization": b"Basic " + base64.b64encode(one.encode()) for one in sys.argv[1:]}
web.urlopen(web.Request("http://127.0.0.1:5555/", headers=login), timeout=10)
"""

pytestmark = pytest.mark.skipif(not HARNESS, reason="SYSTEMD_HARNESS names no program")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine on which a user has tried a configuration in a clone of the project."""
    machine = Machine(f"esquirell-{request.param}", request.param)
    machine.boot()
    try:
        _prepare(machine, tmp_path_factory.mktemp(request.param))
        yield machine
    finally:
        machine.stop()


def _prepare(machine: Machine, folder: Path) -> None:
    clone = folder / "esquirell"
    subprocess.run(
        ["/usr/bin/env", "git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=60
    )
    table = meter_table("main", 6668).replace(f"local_key = '{KEY}'", 'local_key_file = "main.key"')
    toml = configuration([table], mqtt_port=1883, redis_url="redis://localhost:6379/0", every=2)
    (folder / "esquirell.toml").write_text(toml)
    (folder / "main.key").write_text(f"{KEY}\n")
    (folder / "meter.py").write_text(METER)
    (folder / "hang.py").write_text(HANG)
    (folder / "sandbox.py").write_text(SANDBOX)
    machine.run("useradd --create-home --shell /bin/bash pi")
    for name in ("esquirell", "esquirell.toml", "main.key", "meter.py", "hang.py", "sandbox.py"):
        machine.copy(folder / name, "/home/pi")
    machine.run(
        "chown -R pi: /home/pi; chmod 600 /home/pi/main.key; cd /home/pi/esquirell; su pi -c "
        "'umask 077; python3 -m venv .venv && .venv/bin/pip install --quiet .[flower]'"
    )
    machine.run(
        "systemd-run --quiet --unit meter --property User=pi "
        "/home/pi/esquirell/.venv/bin/python /home/pi/meter.py"
    )


def status(machine: Machine) -> dict[str, object]:
    found: dict[str, object] = json.loads(machine.run("esquirell systemd status --json"))
    return found


def readings(machine: Machine) -> int:
    return len(json.loads(machine.run("cd /; esquirell readings main --since 1h --json")))


def test_an_ordinary_user_is_shown_the_command_for_root(machine: Machine) -> None:
    said = machine.fails(f"su pi -c '{PROGRAM} systemd install'")
    assert f"sudo {PROGRAM} systemd install" in said


def test_without_a_configuration_nothing_starts(machine: Machine) -> None:
    machine.run(f"{PROGRAM} systemd install; systemctl start esquirell")
    assert machine.show("esquirell")["ActiveState"] == "inactive"
    assert status(machine)["configured"] is False


def test_a_configuration_is_taken_over_and_the_service_reads(machine: Machine) -> None:
    machine.run(f"cd /home/pi; {PROGRAM} systemd install --config esquirell.toml")
    eventually(machine.is_up, 30)
    eventually(lambda: readings(machine) > 2, 60)
    assert "-rw------- 1 root root" in machine.run("ls -l /etc/esquirell/credentials/*")
    assert KEY not in machine.run("cat /etc/esquirell/esquirell.toml; cat /proc/[0-9]*/cmdline")
    owners = machine.run("find /var/lib/esquirell -printf '%u\\n' | sort --unique")
    assert owners.split() == ["esquirell"]


def test_what_it_says_carries_a_priority(machine: Machine) -> None:
    said = machine.run("journalctl --unit esquirell --priority 6..6 --output cat --no-pager")
    assert "up as worker, beat, bridge; meters: 1" in said


def test_it_is_shut_in(machine: Machine) -> None:
    unit = machine.run("systemctl cat esquirell")
    kept = ("Protect", "Private", "Restrict", "System", "Memory", "Capa", "NoNew", "State", "Dev")
    lines = [line for line in unit.splitlines() if line.startswith(kept) and "=" in line]
    options = " ".join(f"--property '{line}'" for line in lines)
    machine.run(
        f"cp /home/pi/sandbox.py /etc/esquirell; systemd-run --quiet --wait --pipe {options} "
        "--property User=esquirell /opt/esquirell/current/bin/python /etc/esquirell/sandbox.py"
    )
    assert "OK" in machine.run(
        "systemd-analyze security --threshold 20 --no-pager esquirell | tail -1"
    )


def test_flower_asks_for_a_password_and_is_watched_too(machine: Machine) -> None:
    machine.run("systemctl start esquirell-flower")
    assert machine.is_up("esquirell-flower")
    assert "HTTP Error 401" in machine.fails(f"/opt/esquirell/current/bin/python -c '{ASK_FLOWER}'")
    login = "esquirell:$(cat /var/lib/esquirell/flower-password)"
    machine.run(f"/opt/esquirell/current/bin/python -c '{ASK_FLOWER}' {login}")
    process = machine.show("esquirell-flower")["MainPID"]
    machine.run("systemctl kill --signal KILL esquirell-flower")
    machine.comes_back("esquirell-flower", process)
    machine.run("systemctl stop esquirell-flower")


def test_a_killed_service_restarts(machine: Machine) -> None:
    process = machine.show("esquirell")["MainPID"]
    machine.run("systemctl kill --signal KILL esquirell")
    machine.comes_back("esquirell", process)


def test_a_restart_over_mqtt_keeps_the_process_id(machine: Machine) -> None:
    machine.run("systemctl restart esquirell")
    eventually(lambda: machine.is_up("esquirell"), 30)
    before = machine.show("esquirell")
    ups = machine.log().count("up as worker")
    ask = "mosquitto_pub -q 1 -t esquirell/bridge/request/restart -m '{}'"
    # It is refused within the first minute.
    eventually(
        lambda: machine.run(f"{ask}; sleep 8") or machine.log().count("up as worker") > ups, 120
    )
    eventually(lambda: machine.is_up("esquirell"), 30)
    after = machine.show("esquirell")
    assert (after["MainPID"], after["NRestarts"]) == (before["MainPID"], before["NRestarts"])
    stored = readings(machine)
    eventually(lambda: readings(machine) > stored, 30)


def test_a_hanging_process_is_restarted(machine: Machine) -> None:
    machine.run(
        "mkdir -p /etc/systemd/system/esquirell.service.d; "
        "printf '[Service]\\nWatchdogSec=6\\nRestartSec=1\\n' "
        ">/etc/systemd/system/esquirell.service.d/test.conf; "
        "systemctl daemon-reload; systemctl restart esquirell"
    )
    process = machine.show("esquirell")["MainPID"]
    machine.run("systemctl kill --signal STOP esquirell")
    machine.comes_back("esquirell", process)
    assert "Watchdog timeout" in machine.log()


def test_a_role_that_hangs_is_restarted(machine: Machine) -> None:
    machine.run(
        "cp /home/pi/hang.py /etc/esquirell; cd /etc/esquirell; "
        "printf '\\n[tasks]\\nmodules = [\"hang\"]\\n' >>esquirell.toml; "
        "systemctl restart esquirell; touch /var/lib/esquirell/hang"
    )
    process = machine.show("esquirell")["MainPID"]
    eventually(lambda: "beat has been hanging for" in machine.log(), 120)
    machine.run("rm /var/lib/esquirell/hang")
    machine.comes_back("esquirell", process)


def test_a_command_of_roots_does_not_lock_it_out(machine: Machine) -> None:
    machine.run("systemctl stop esquirell; rm -rf /var/lib/esquirell/*; cd /; esquirell db upgrade")
    assert "root" not in machine.run("find /var/lib/esquirell -printf '%u\\n'")
    machine.run("systemctl start esquirell")
    eventually(machine.is_up, 30)


def test_each_role_in_a_process_of_its_own(machine: Machine) -> None:
    machine.run(f"{PROGRAM} systemd install --role apart")
    for role in ("worker", "beat", "bridge"):
        eventually(lambda role=role: machine.is_up(f"esquirell-{role}"), 60, role)  # type: ignore[misc] # mypy infers no lambda with a default
    assert machine.show("esquirell")["ActiveState"] == "inactive"
    process = machine.show("esquirell-beat")["MainPID"]
    machine.run("systemctl kill --signal KILL esquirell-beat")
    machine.comes_back("esquirell-beat", process)
    machine.run("cd /; esquirell health")
    machine.run(f"{PROGRAM} systemd install --role all")
    eventually(machine.is_up, 30)


def test_an_upgrade_and_the_way_back(machine: Machine) -> None:
    before = status(machine)["current"]
    machine.run(
        "cd /home/pi/esquirell; echo '# newer' >>esquirell/__init__.py; "
        "su pi -c '.venv/bin/pip install --quiet --no-deps .'"
    )
    machine.run(f"{PROGRAM} systemd install")
    found = status(machine)
    assert (found["previous"], found["configured"]) == (before, True)
    machine.run("esquirell systemd install --rollback")
    assert status(machine)["current"] == before
    eventually(machine.is_up, 30)


def test_removed_it_leaves_configuration_and_data(machine: Machine) -> None:
    machine.run("esquirell systemd uninstall")
    machine.run("test -e /etc/esquirell/esquirell.toml; test -e /var/lib/esquirell/esquirell.db")
    machine.fails("test -e /opt/esquirell || systemctl cat esquirell")


def test_a_debian_package_is_installed_upgraded_and_removed(machine: Machine) -> None:
    number = {"bookworm": "12", "trixie": "13"}[machine.suite]
    packages = sorted((ROOT / "dist").glob(f"esquirell_*+deb{number}u*_amd64.deb"))
    if not packages:
        pytest.skip("no package in dist: make deb makes one")
    machine.copy(packages[-1], "/root")
    install = "dpkg --install /root/esquirell_*.deb"
    machine.run(f"rm -rf /etc/esquirell /var/lib/esquirell; {install}")
    assert machine.show("esquirell")["ActiveState"] == "inactive"
    machine.run("systemctl is-enabled esquirell")
    machine.run(
        "cp /home/pi/esquirell.toml /home/pi/main.key /etc/esquirell; "
        "sed -i '1i state_dir = \"/var/lib/esquirell\"' /etc/esquirell/esquirell.toml; "
        "systemctl start esquirell"
    )
    eventually(machine.is_up, 30)
    eventually(lambda: readings(machine) > 2, 60)
    process = machine.show("esquirell")["MainPID"]
    machine.run(install)
    machine.comes_back("esquirell", process)
    _upgrade_what_can_not_start(machine, install)
    machine.run("dpkg --remove esquirell")
    machine.run(
        "test -e /etc/esquirell/esquirell.toml; test -e /var/lib/esquirell/esquirell.db; "
        "test ! -e /usr/lib/esquirell"
    )
    # Installed again it starts, although dpkg calls this an upgrade.
    machine.run(install)
    eventually(machine.is_up, 30)
    machine.run("dpkg --purge esquirell; test ! -e /etc/esquirell; test ! -e /var/lib/esquirell")


def _upgrade_what_can_not_start(machine: Machine, install: str) -> None:
    """Break the service, then install again: the upgrade that mends a release has to start it."""
    drop_in = "/etc/systemd/system/esquirell.service.d/broken.conf"
    machine.run(
        f"install -D /dev/null {drop_in}; "
        f"printf '[Service]\\nExecStartPre=/bin/false\\n' >{drop_in}; "
        "systemctl daemon-reload; systemctl restart esquirell || true"
    )
    assert machine.show("esquirell")["ActiveState"] == "activating"
    machine.run(f"rm {drop_in}; {install}")
    eventually(machine.is_up, 30)
