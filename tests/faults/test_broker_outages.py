"""A broker that refuses, limits, forgets or is out of reach."""

import re
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.fault_bench import Bench, Fault, Outage, Result, endure, looped_s
from support.tcp_proxy import TcpProxy

OPEN = ("allow_anonymous true",)


def restarted_with(*settings: str) -> Fault:
    """Build a fault: the broker restarts with other settings."""

    def change(bench: Bench) -> None:
        bench.broker.stop()
        bench.broker.configure(settings)
        bench.broker.start()

    return change


def acl(*lines: str) -> Fault:
    """Build a fault: the broker restarts with rules of who may do what."""

    def change(bench: Bench) -> None:
        file = bench.folder / "acl"
        file.write_text("\n".join(lines) + "\n")
        file.chmod(0o600)
        restarted_with(*OPEN, f"acl_file {file}")(bench)

    return change


def frozen(bench: Bench) -> None:
    bench.broker.freeze()


def thawed(bench: Bench) -> None:
    bench.broker.thaw()


def taken_over(bench: Bench) -> None:
    """Connect with the client id of the bridge, which cuts it off; each connects anew."""
    (found, *_) = re.findall(r"as (esquirell\S*) \(", bench.broker.log)
    other = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=found)
    other.connect("127.0.0.1", bench.broker.port)
    other.loop_start()
    bench.steady(looped_s(10))
    other.loop_stop()
    other.disconnect()


def cleared(bench: Bench) -> None:
    """Delete every retained message, as a tidy user might."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def clear(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.retain and message.payload:
            client.publish(message.topic, b"", retain=True)

    client.on_message = clear
    client.connect("127.0.0.1", bench.broker.port)
    client.subscribe("#", 1)
    client.loop_start()
    bench.steady(looped_s(5))
    client.loop_stop()
    client.disconnect()


def ruled(*lines: str) -> Fault:
    """Build a fault: the rules of the broker change while the service stays connected."""

    def change(bench: Bench) -> None:
        (bench.folder / "acl").write_text("\n".join(lines) + "\n")
        bench.broker.reload()

    return change


BACK = restarted_with(*OPEN)
FREE = "topic readwrite #"
RULES = {
    "rules of the broker change: no meter may be published": Outage(
        ruled("topic read #", "topic write esquirell/bridge/#"), ruled(FREE), "let us publish"
    ),
    "rules of the broker change: nothing is delivered": Outage(
        ruled("topic write #"), ruled(FREE), "does not deliver"
    ),
}
OUTAGES = {
    "broker refuses us (not authorised)": Outage(
        restarted_with("allow_anonymous false"), BACK, "authori|refuse|user"
    ),
    "broker lets us publish nothing (ACL)": Outage(acl("topic read #"), BACK, "mqtt|broker"),
    "broker lets us receive nothing (ACL)": Outage(
        acl("topic write #"), BACK, "does not deliver|does not let us subscribe", lasts_s=30
    ),
    "broker takes 400 bytes a message at most": Outage(
        restarted_with(*OPEN, "max_packet_size 400"), BACK
    ),
    "broker stopped (SIGSTOP) for 40 s": Outage(frozen, thawed, "mqtt|broker", lasts_s=40),
    "another client with the name of the bridge": Outage(taken_over, lasts_s=10),
    "every retained message deleted": Outage(cleared, lasts_s=5),
}


@pytest.mark.parametrize("fault", OUTAGES)
def test_the_broker(fault: str, tmp_path: Path, results: list[Result]) -> None:
    with Bench(tmp_path) as bench:
        results.append(endure(bench, fault, OUTAGES[fault]))


@pytest.mark.parametrize("fault", RULES)
def test_rules_that_change(fault: str, tmp_path: Path, results: list[Result]) -> None:
    rules = tmp_path / "acl"
    rules.write_text(f"{FREE}\n")
    rules.chmod(0o600)
    with Bench(tmp_path, broker_settings=(*OPEN, f"acl_file {rules}")) as bench:
        results.append(endure(bench, fault, RULES[fault]))


def test_packets_to_the_broker_are_dropped(tmp_path: Path, results: list[Result]) -> None:
    def prepared(bench: Bench) -> None:
        proxy.target = bench.broker.port
        bench.mqtt_port = proxy.port

    outage = Outage(lambda _: proxy.hole(), lambda _: proxy.mend(), "mqtt|broker", lasts_s=60)
    with TcpProxy() as proxy, Bench(tmp_path, prepared=prepared) as bench:
        results.append(endure(bench, "packets to the broker dropped for a minute", outage))
