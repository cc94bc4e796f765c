"""`esquirell mqtt`: maintenance of the broker's topics; a short connection to the broker."""

import time
from typing import TYPE_CHECKING

import click

from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.output import print_json, say

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Connection

REACH_S = 6.0
LEAVE_S = 3.0
LOOK_EVERY_S = 0.02


@click.group("mqtt", cls=Group)
def mqtt() -> None:
    """Remove esquirell's topics from the broker."""


@mqtt.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_call
def clear(call: Call, *, yes: bool) -> None:
    """Clear everything that esquirell has published.

    Its devices disappear from Home Assistant. Stop the service first; when it starts again it
    publishes everything again. What is stored in the database stays.
    """
    from esquirell.runtime.mqtt import leave_broker  # noqa: PLC0415 - it loads paho

    settings = call.settings.mqtt
    where = f"{settings.host}:{settings.port}"
    if not yes and not call.json:
        question = f"Clear everything under {settings.base_topic} on {where}?"
        click.confirm(question, abort=True)
    found = leave_broker(call.settings)
    if call.json:
        print_json(found)
        return
    say(f"{len(found)} topics were cleared. {_advice(found)}")


def _advice(found: list[str]) -> str:
    if not any(topic.endswith("/config") for topic in found):
        return "No device was announced to Home Assistant."
    return (
        "Home Assistant has removed the devices if it runs; if it does not, delete them there by "
        "hand."
    )


def reach(connection: "Connection") -> str | None:
    """Wait until the connection is established; return why if it is not."""
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble:
            return connection.trouble
        if time.monotonic() > deadline:
            return "the MQTT broker does not answer: check [mqtt]"
        time.sleep(LOOK_EVERY_S)
    return None
