"""The Home Assistant app as a whole: a real process, broker and meter, and a Supervisor."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.app import App
from support.ingress import Ingress
from support.mosquitto import Mosquitto, set_password
from support.mqtt_observer import Observer
from support.service import KEY, simulated
from support.supervisor import TOKEN, FakeSupervisor, supervising
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

USER, PASSWORD = "addons", "m0squ1tt0-p4ssw0rd-0f-4pps"
# What Docker grants unless the app asks for more, which it does.
STOP_S = 10.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """As the app "Mosquitto broker": no access without a login."""
    passwords = tmp_path / "passwords"
    set_password(passwords, USER, PASSWORD)
    broker = Mosquitto(tmp_path, ("allow_anonymous false", f"password_file {passwords}"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def meter() -> Iterator[SimulatedMeter]:
    meter = simulated("main")
    yield meter
    meter.stop()


def service_of(broker: Mosquitto) -> dict[str, object]:
    """Return what the Supervisor says of a broker."""
    login = {"username": USER, "password": PASSWORD}
    where = {"host": "127.0.0.1", "port": broker.port, "ssl": False, "protocol": "3.1.1"}
    return {**where, **login, "addon": "core_mosquitto"}


@pytest.fixture
def supervisor(broker: Mosquitto) -> Iterator[FakeSupervisor]:
    with supervising(service_of(broker)) as supervisor:
        yield supervisor


def up(app: App) -> Ingress:
    app.start()
    eventually(lambda: "up as worker" in app.log, what=lambda: app.log)
    eventually(lambda: "in Home Assistant" in app.log, what=lambda: app.log)
    return Ingress(app.ingress_port)


def add(browser: Ingress, meter: SimulatedMeter) -> None:
    fields = {
        "command": "meter/add",
        "place": "form",
        "device_id": "id-main",
        "name": "main",
        "local_key": KEY,
        "address": "127.0.0.1",
        "port": str(meter.port),
        "protocol": "3.4",
        "profile": "owon_pc321",
    }
    reply = browser.post("/add", fields)
    assert reply.status == 303, reply.words


def test_from_the_first_start_to_a_published_reading(
    tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto, meter: SimulatedMeter
) -> None:
    app = App(tmp_path, supervisor, log_level="debug")
    try:
        browser = up(app)
        assert "open the page of this app in Home Assistant and add one" in app.log
        assert "Mosquitto broker" not in app.log
        with Observer(broker.port, "#", credentials=(USER, PASSWORD)) as observer:
            add(browser, meter)
            state = observer.saw(
                lambda seen: (
                    seen.topic == "esquirell/meter/main/state" and seen.json["voltage_a"] == 236.1
                )
            )
            assert state.json["energy_import"] == 1064.21
            observer.saw(lambda seen: seen.topic == "homeassistant/device/esquirell_main/config")
            info = observer.saw(lambda seen: seen.topic == "esquirell/bridge/info")
            assert info.json["config"]["timezone"] == "Europe/Warsaw"
        health = app.esquirell("health")
        assert health.returncode == 0, health.stdout + health.stderr
        started = time.monotonic()
        assert app.stop() == 0
        assert time.monotonic() - started < STOP_S
        assert not (app.data / "redis.sock").exists()
        for secret in (TOKEN, PASSWORD, KEY):
            assert secret not in app.log
        # At the next start everything is there, from /data alone.
        app.start()
        eventually(lambda: "up as worker, beat, bridge; meters: 1" in app.log, what=lambda: app.log)
    finally:
        app.kill()


def test_without_a_broker_it_measures_and_says_which_app_is_missing(
    tmp_path: Path, meter: SimulatedMeter
) -> None:
    with supervising() as supervisor:
        app = App(tmp_path, supervisor, log_level="info")
        # The user's own file, in the app's configuration folder.
        (tmp_path / "esquirell.toml").write_text('[[schedules]]\nname = "fetch"\nevery = 1\n')
        try:
            browser = up(app)
            add(browser, meter)
            eventually(lambda: app.readings() > 1, what=lambda: app.log)
            # What the watchdog of Home Assistant asks: a restart would not help.
            assert browser.get("/api/v1/health").status == 200
            (said,) = re.findall(r"^.*Mosquitto broker.*$", app.log, re.MULTILINE)
            assert 'install and start the app "Mosquitto broker"' in said
            app.signal(signal.SIGTERM)
            assert app.wait() == 0
        finally:
            app.kill()


def test_a_broker_that_is_installed_later_is_used(tmp_path: Path, broker: Mosquitto) -> None:
    with supervising() as supervisor:
        app = App(tmp_path, supervisor)
        try:
            up(app)
            with Observer(broker.port, "#", credentials=(USER, PASSWORD)) as observer:
                supervisor.broker = service_of(broker)
                observer.saw(lambda seen: seen.topic == "esquirell/bridge/info")
            assert "names another MQTT broker or login: restarting" in app.log
            assert app.stop() == 0
            assert PASSWORD not in app.log
        finally:
            app.kill()


def test_a_supervisor_that_does_not_answer_leaves_what_it_said_before(
    tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto
) -> None:
    app = App(tmp_path, supervisor)
    try:
        up(app)
        assert app.stop() == 0
        kept = app.data / "mqtt-broker.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        supervisor.answer = lambda *_: (500, {})  # type: ignore[method-assign] # as while it updates
        with Observer(broker.port, "#", credentials=(USER, PASSWORD)) as observer:
            app.start()
            observer.saw(lambda seen: seen.topic == "esquirell/bridge/state" and not seen.retained)
        assert "does not name the MQTT broker (it answered 500)" in app.log
    finally:
        app.kill()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"log_level": "loud"}, "option log_level must be 'debug', 'info', 'warning' or 'error'"),
        ({"page_port": 8155}, "option page_port needs page_password"),
        ({"mqtt_password": "x"}, "mqtt: password needs a username"),
    ],
)
def test_options_that_can_not_be_are_one_sentence_in_the_log(
    tmp_path: Path, options: dict[str, object], sentence: str
) -> None:
    with supervising() as supervisor:
        app = App(tmp_path, supervisor, **options)
        app.start()
        assert app.wait() == 2
    (line,) = app.log.splitlines()
    assert sentence in line
