"""`esquirell demo`: everything on this machine, without hardware; `esquirell watch`: your house."""

import signal
import time
from typing import Literal

import click

from esquirell.cli.call import Between, Call, Command, OneOf, pass_call
from esquirell.cli.output import say
from esquirell.domain.schedule import LONGEST_INTERVAL_S

PORT = Between(1, 65535)
COUNT = Between(1, 50)
SECONDS = Between(1, LONGEST_INTERVAL_S)


@click.command("demo", cls=Command)
@click.option("--seconds", type=SECONDS, metavar="N", help="Stop after N seconds.")
@click.option("--meters", type=COUNT, default=1, metavar="N", help="How many meters (1).")
@click.option(
    "--protocol",
    type=OneOf(["3.3", "3.4", "3.5"]),
    default="3.4",
    help="The Tuya protocol version of the meters (3.4).",
)
@click.option("--port", type=PORT, metavar="N", help="The port of the MQTT broker (1883 if free).")
@click.option("--every", type=SECONDS, default=2, metavar="S", help="Read every S seconds (2).")
def demo(
    seconds: int | None,
    meters: int,
    protocol: Literal["3.3", "3.4", "3.5"],
    port: int | None,
    every: int,
) -> None:
    """Try everything on this machine: simulated meters, a Redis and an MQTT broker of its own.

    Nothing needs to be configured, and nothing is left behind.
    """
    from esquirell.demo.demo import run  # noqa: PLC0415 - --help should not wait for it
    from esquirell.demo.plan import DemoError, Plan  # noqa: PLC0415 - as above

    began = time.monotonic()
    try:
        tally = run(Plan(seconds, meters, protocol, port, every))
    except DemoError as error:
        click.echo(error.log, nl=False, err=True)
        raise
    took = time.monotonic() - began
    late = tally.stored - tally.published
    rest = f" ({late} came while the service stopped: stored only)" if late > 0 else ""
    say(f"{tally} in {took:.0f} s{rest}; nothing is left behind")


@click.command("watch", cls=Command)
@click.option("--seconds", type=SECONDS, metavar="N", help="Stop after N seconds.")
@pass_call
def watch(call: Call, *, seconds: int | None) -> int:
    """Watch the meters live, as the service publishes them."""
    # Only this command needs them.
    from esquirell.daemon.signals import flag_of  # noqa: PLC0415
    from esquirell.demo.own_house import House, show  # noqa: PLC0415
    from esquirell.demo.watch import Watch  # noqa: PLC0415

    runtime, mqtt = call.runtime, call.settings.mqtt
    broker = f"{mqtt.host}:{mqtt.port}"
    stopped = flag_of((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    house = House([meter.name for meter in runtime.meters()], broker)
    with Watch(runtime.mqtt.connection, runtime.mqtt.topics, broker, echo=False) as watching:
        show(house, watching, stopped, seconds)
    return 0
