"""`esquirell watch`: a live screen of your house."""

import signal

import click

from esquirell.cli.call import Call, Command, pass_call


@click.command("watch", cls=Command)
@click.option("--seconds", type=click.IntRange(min=1), metavar="N", help="Stop after N seconds.")
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
