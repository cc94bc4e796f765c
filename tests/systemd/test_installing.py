"""`esquirell systemd install` and its like, in another root."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter
from support.service import KEY

from esquirell.cli.systemd import environment, installing
from esquirell.cli.systemd.installing import Installation
from esquirell.cli.systemd.layout import PROGRAM, Layout, Releases
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, Machine
from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.settings import load

Install = Callable[..., list[str]]


@pytest.fixture
def install(layout: Layout, python: Path) -> Install:
    def install(unit: str | None = None, configuration: Path | None = None) -> list[str]:
        told: list[str] = []
        installing.install(
            Installation(unit, configuration, python), layout, Machine(layout), told.append
        )
        return told

    return install


@pytest.fixture
def built(layout: Layout) -> None:
    """A release that is there already: to build it takes long."""
    release = layout.releases / environment.release_name(environment.closure())
    release.mkdir(parents=True)
    (release / environment.COMPLETE).touch()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def listing(root: Path) -> dict[str, float]:
    return {
        str(path): path.lstat().st_mtime
        for path in root.rglob("*")
        if "site-packages" not in str(path)
    }


def test_everything_is_put_in_place_and_a_second_time_changes_nothing(
    install: Install, layout: Layout, home: Home
) -> None:
    home.configure(meter(), mqtt__username="esquirell", mqtt__password="s3cret")
    told = install(None, home.config)
    assert len(told) == 3
    release = layout.releases / str(Releases(layout).current)
    assert mode(layout.credentials) == 0o700
    assert mode(layout.credentials / "mqtt__password") == 0o600
    assert mode(layout.state) == 0o700
    assert mode(layout.configuration) == 0o640
    assert layout.command.readlink() == PROGRAM
    wants = layout.units / "multi-user.target.wants"
    assert [path.name for path in wants.iterdir()] == [ALL_IN_ONE]
    assert (release / "bin/esquirell").read_text().startswith(f"#!/opt/esquirell/{release.name}/")
    before = listing(release)
    assert install(None, home.config) == [f"{layout.configuration} exists already and is kept"]
    assert listing(release) == before
    said = subprocess.run(
        [release / "bin/python", "-m", "esquirell", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd="/",
    )
    assert said.stdout.startswith("esquirell ")


@pytest.mark.usefixtures("built")
def test_secrets_become_credentials(install: Install, layout: Layout, home: Home) -> None:
    home.configure(meter(), redis__url="redis://:p%40ss@localhost:6379/0")
    install(None, home.config)
    text = layout.configuration.read_text()
    assert KEY not in text
    assert "p%40ss" not in text
    assert (layout.credentials / "redis__password").read_text() == "p@ss\n"
    settings = load(layout.configuration, {})
    assert settings.redis.password.get_secret_value() == "p@ss"
    assert settings.meters[0].local_key.get_secret_value() == KEY
    assert settings.state_dir == Path("/var/lib/esquirell")


def test_a_faulty_configuration_changes_nothing(
    install: Install, layout: Layout, home: Home
) -> None:
    home.write("mqtt.prt = 1")
    with pytest.raises(ConfigError, match="nearest known key is port"):
        install(None, home.config)
    assert list(layout.root.iterdir()) == []


def test_roles_apart_can_not_share_an_own_redis(
    install: Install, layout: Layout, home: Home
) -> None:
    home.configure(meter(), redis__url="embedded")
    with pytest.raises(ConfigError, match="apt install redis-server"):
        install(APART, home.config)
    assert list(layout.root.iterdir()) == []


def test_beside_the_debian_package_it_refuses(install: Install, layout: Layout) -> None:
    layout.packaged.parent.mkdir(parents=True)
    layout.packaged.touch()
    with pytest.raises(ConfigError, match="Debian package"):
        install()


@pytest.mark.usefixtures("built")
def test_apart_and_back_and_away(install: Install, layout: Layout, home: Home) -> None:
    home.configure(meter())
    install(APART, home.config)
    wants = layout.units / "multi-user.target.wants"
    assert [path.name for path in wants.iterdir()] == [APART]
    install()
    assert [path.name for path in wants.iterdir()] == [APART]
    install(ALL_IN_ONE)
    assert [path.name for path in wants.iterdir()] == [ALL_IN_ONE]
    installing.uninstall(layout, Machine(layout), purge=False)
    assert layout.configuration.exists()
    assert layout.state.exists()
    assert not layout.releases.exists()
    assert not list(layout.root.rglob("esquirell*.service"))
    there: list[bool] = []
    installing.uninstall(
        layout,
        Machine(layout),
        purge=True,
        leave=lambda: there.append(layout.configuration.exists()),
    )
    assert there == [True]
    assert not layout.configuration.parent.exists()
    assert not layout.state.exists()


def test_a_release_can_be_read_whatever_the_umask_was(tmp_path: Path) -> None:
    release = tmp_path / "releases" / "0.1.0"
    (release / "lib").mkdir(parents=True)
    for name, bits in (("lib/module.py", 0o600), ("program", 0o700)):
        (release / name).touch()
        (release / name).chmod(bits)
    for folder in (release / "lib", release, release.parent):
        folder.chmod(0o700)
    environment.make_readable(release)
    made = (release.parent, release, release / "lib", release / "program")
    assert {mode(path) for path in made} == {0o755}
    assert mode(release / "lib/module.py") == 0o644


def test_the_previous_release_is_kept_and_can_be_restored(tmp_path: Path) -> None:
    releases = Releases(Layout(tmp_path))
    folder = tmp_path / "opt/esquirell"
    for name in ("1", "2", "3"):
        (folder / name).mkdir(parents=True)
        releases.use(name)
    assert (releases.current, releases.previous) == ("3", "2")
    assert not (folder / "1").exists()
    assert releases.roll_back() == "2"
    assert (releases.current, releases.previous) == ("2", "3")


def test_without_a_release_before_there_is_no_way_back(tmp_path: Path) -> None:
    with pytest.raises(EsquirellError, match="no previous release"):
        Releases(Layout(tmp_path)).roll_back()


@pytest.mark.skipif(os.geteuid() == 0, reason="this is root")
@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_root_the_command_to_use_is_shown(command: str) -> None:
    said = esquirell("systemd", command)
    assert said.code == 2
    assert "only root may do this: sudo /" in said.sentence
