"""`esquirell demo`: everything on this machine, with no configuration and no hardware."""

import time
from typing import Literal

import click

from esquirell.cli.call import Command
from esquirell.cli.choice import OneOf
from esquirell.cli.output import say

PORT = click.IntRange(1, 65535)
COUNT = click.IntRange(1, 50)
SECONDS = click.IntRange(min=1)


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
    say(f"{tally} in {took:.0f} s; nothing is left behind")
