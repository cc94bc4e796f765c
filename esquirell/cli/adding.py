"""`esquirell meters add | set | exchange | remove`: the meters added on this machine."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from esquirell.cli.call import Between, Call, Command, OneOf, misuse, pass_call
from esquirell.cli.meter_names import METER
from esquirell.cli.output import (
    in_terminal,
    print_json,
    print_lines,
    print_table,
    say,
    warn,
    working,
)
from esquirell.cli.values import lines_of, print_reading
from esquirell.domain.errors import CommandError, ConfigError, EsquirellError
from esquirell.domain.meter import (
    LOCAL_KEY_LENGTH,
    Meter,
    NextCounter,
    ProtocolVersion,
    key_as_pasted,
)
from esquirell.settings.slugs import name_and_label, unique_slug

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_PROTOCOLS = get_args(ProtocolVersion)
_PUSH = OneOf(["auto", "true", "false"])

Function = Callable[..., Any]
LEFT_OUT_SHOWN = 5


def _fields(command: Function) -> Function:
    """Add the options for the settings of a meter."""
    options = (
        click.option("--device-id", metavar="ID", help="The device id, as scan shows it."),
        click.option("--address", metavar="IP", help='On your network, or "auto".'),
        click.option(
            "--port",
            metavar="N",
            type=Between(1, 65535),
            help="The port it listens on (6668).",
        ),
        click.option("--key-file", type=_FILE, help="A file that holds its local key."),
        click.option("--ask-key", is_flag=True, help="Ask for its local key."),
        click.option("--protocol", type=OneOf(_PROTOCOLS), help="Detected by default."),
        click.option(
            "--profile", metavar="NAME", help="What its datapoints mean: profiles list shows them."
        ),
        click.option("--product-id", metavar="ID", help="The product id, as scan shows it."),
        click.option("--gateway", metavar="ID", help="The device id of its gateway."),
        click.option("--cid", metavar="NODE", help="Its node id at that gateway."),
        click.option("--label", help="The name that people see."),
        click.option("--area", help="The room it is in."),
        click.option(
            "--upstream",
            type=METER,
            metavar="NAME",
            help="The meter that measures its energy as well.",
        ),
        click.option("--push", type=_PUSH, help="Whether its connection is kept open."),
        click.option("--enabled/--disabled", default=None, help="Whether it is read at all."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("add", cls=Command)
@click.argument("name", required=False)
@_fields
@click.option("--scan", is_flag=True, help="Search the network and choose a device.")
@click.option(
    "--from-devices",
    "devices",
    type=_FILE,
    help="Take it from tinytuya's devices.json, or Home Assistant's core.config_entries.",
)
@click.option("--no-test", is_flag=True, help="Add it without reading it first.")
@pass_call
def add(
    call: Call,
    /,
    name: str | None,
    *,
    scan: bool,
    devices: Path | None,
    no_test: bool,
    **given: Any,  # noqa: ANN401 - as click hands them over
) -> None:
    """Add a meter: it is read once, then the running service takes it over.

    Its settings are stored in a file of its own, in the state directory of this machine.
    """
    # Without a configuration nothing is asked for.
    taken = {meter.name for meter in call.settings.meters}
    fields = _scanned() if scan else {}
    if devices:
        fields |= _listed(devices, given["device_id"] or fields.get("device_id"))
    fields |= _given(given)
    if "device_id" not in fields:
        device_id = _asked("Device id", " (empty: search the network)")
        fields = {"device_id": device_id} | fields if device_id else _scanned() | fields
    if "local_key" not in fields:
        fields["local_key"] = _key_of(str(fields["device_id"]))
    fields |= _named(name) if name else _asked_name(str(fields.get("label", "")), taken)
    if given["label"]:
        fields["label"] = given["label"]
    if "upstream" not in fields and taken and sys.stdin.isatty():
        fields["upstream"] = _asked_upstream(call.settings.meters)
    _report(call, _added(call, fields | {"test": not no_test}), "added")


@click.command("set", cls=Command)
@click.argument("name", type=METER)
@_fields
@pass_call
def change(call: Call, /, name: str, **given: Any) -> None:  # noqa: ANN401 - as above
    """Change settings of a meter that was added; the running service takes them over."""
    _report(call, _command(call, "meter/set", {"name": name} | _given(given)), "changed")


@click.command("exchange", cls=Command)
@click.argument("name", type=METER)
@_fields
@click.option("--no-test", is_flag=True, help="Do not read the new device first.")
@click.option(
    "--counter",
    type=OneOf(get_args(NextCounter)),
    help="Whether the counter starts again (anew), or continues, as after pairing the same "
    "device again.",
)
@pass_call
def exchange(
    call: Call,
    /,
    name: str,
    *,
    no_test: bool,
    counter: NextCounter | None,
    **given: Any,  # noqa: ANN401 - as above
) -> None:
    """Replace a meter's device by another one; history continues under the same name.

    The counter of another device starts again, and the sum continues from there. That of the same
    device, paired again, continues: what it counted in between is part of the sum.
    """
    _refuse_defined(call, name)
    fields = {"name": name} | _given(given)
    if "device_id" not in fields:
        fields["device_id"] = _asked("Device id of the new device")
    if "local_key" not in fields:
        fields["local_key"] = _key_of(str(fields["device_id"]))
    fields |= {"counter": counter or _asked_counter(), "test": not no_test}
    _report(call, _command(call, "meter/exchange", fields), "exchanged")


@click.command("remove", cls=Command)
@click.argument("name", type=METER)
@click.option("--forget", is_flag=True, help="Delete its history as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_call
def remove(call: Call, name: str, *, forget: bool, yes: bool) -> None:
    """Remove a meter that was added; its history stays without --forget."""
    _refuse_defined(call, name)
    if not yes and sys.stdin.isatty():
        history = "and its whole history" if forget else "but keep its history"
        click.confirm(f"Remove {name} {history}?", abort=True)
    done = _command(call, "meter/remove", {"name": name, "forget": forget})
    if call.json:
        print_json(done)
        return
    gone = f"; {done['forgotten']} readings of it are gone" if forget else "; its history stays"
    say(f"{name}: removed{gone}")


def _refuse_defined(call: Call, name: str) -> None:
    """Raise, before the first question, if a meter is unknown or its settings are not ours."""
    call.meters([name])
    if name not in call.settings.added:
        raise ConfigError(
            f"{name} is defined in {call.settings.source or 'the environment'}: change it there; "
            "its history stays with its name"
        )


def _added(call: Call, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add a meter; in a terminal, wrong answers are asked for again."""
    while True:
        try:
            return _command(call, "meter/add", fields)
        except EsquirellError as error:
            if not sys.stdin.isatty():
                raise
            warn(str(error))
            if not click.confirm("Change these answers?", default=True):
                raise click.Abort from error
            fields = _asked_again(fields)


def _asked_again(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Ask again for what a read depends on; an empty key keeps the previous one."""
    key = click.prompt("Local key (empty: keep it)", "", hide_input=True, show_default=False)
    protocols = OneOf(_PROTOCOLS)
    return dict(fields) | {
        "device_id": click.prompt("Device id", fields["device_id"]),
        "local_key": key or fields["local_key"],
        "address": click.prompt("Address on your network", fields.get("address", "auto")),
        "protocol": click.prompt("Protocol", fields.get("protocol", "auto"), type=protocols),
    }


def _command(call: Call, command: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which --help can spare

    if not service.works(call.runtime):
        service.prepare_alone(call.runtime, stores=True)
    with working(f"Reading {fields['name']}" if fields.get("test") else "Saving"):
        return service.ask(call.runtime, command, fields)


def _report(call: Call, done: Mapping[str, Any], what: str) -> None:
    if call.json:
        print_json(done)
        return
    if (reading := done["reading"]) is not None:
        if in_terminal():
            print_reading(f"{done['label']} says", reading, call.settings.timezone)
        else:
            print_lines(lines_of(reading))
        if not any(key not in {"measured_at", "diagnostics"} for key in reading):
            warn("it answers, but none of its datapoints is known as a measurement")
    if done.get("reports_often"):
        from esquirell.cli.guide import REPORTS_OFTEN  # noqa: PLC0415 - few meters do

        say(REPORTS_OFTEN.format(names=done["name"]))
    say(f"{done['name']}: {what}; its settings are in {done['file']}")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, with the key from wherever it is."""
    fields = {
        key: value
        for key, value in options.items()
        if value is not None and key not in {"key_file", "ask_key"}
    }
    if options["key_file"] and options["ask_key"]:
        raise misuse("--key-file and --ask-key exclude each other")
    if options["key_file"]:
        fields["local_key"] = options["key_file"].read_text(encoding="utf-8").strip("\r\n")
    elif options["ask_key"]:
        fields["local_key"] = _asked_key()
    return fields


def _scanned() -> dict[str, Any]:
    from esquirell.cli import guide  # noqa: PLC0415 - few search

    found = guide.choose()
    if found is None:
        raise CommandError("no_data", "no device was chosen: nothing is added")
    return {
        "device_id": found.device_id,
        "address": found.address,
        "protocol": found.protocol or "auto",
        "product_id": found.product_id,
    }


def _listed(file: Path, device_id: str | None) -> dict[str, Any]:
    """Return what tinytuya's devices.json says about one device, chosen if there are several."""
    from esquirell.settings.devices import read_list  # noqa: PLC0415 - few have such a file

    found, left_out = read_list(file.read_bytes(), str(file))
    if device_id is None:
        device_id = _chosen([(device.meter.title, device.meter.device_id) for device in found])
    one = next((device for device in found if device.meter.device_id == device_id), None)
    if one is None:
        reasons = "".join(f"; {name}: {reason}" for name, reason in left_out[:LEFT_OUT_SHOWN])
        raise ConfigError(f"{file} holds no meter with the id {device_id}{reasons}")
    return one.fields


def _chosen(meters: Sequence[tuple[str, str]]) -> str:
    if not meters:
        raise ConfigError("the list contains no measuring device")
    if len(meters) == 1:
        return meters[0][1]
    if not sys.stdin.isatty():
        listed = ", ".join(device_id for _, device_id in meters)
        raise misuse(f"name one of the devices with --device-id: {listed}")
    print_table(("no.", "name", "id"), [[str(i), *meter] for i, meter in enumerate(meters, 1)])
    number = click.prompt("Which one", type=Between(1, len(meters)))
    return meters[number - 1][1]


def _asked(text: str, without: str = "") -> str:
    """Ask for a text; `without` says what an empty one means, if it may be empty."""
    if not sys.stdin.isatty():
        raise misuse(f"{text} is missing: give it as an option")
    default = "" if without else None
    return str(click.prompt(f"{text}{without}", default, show_default=False)).strip()


def _asked_upstream(meters: Sequence[Meter]) -> str:
    """Ask for the meter that measures its energy as well, so as not to count it twice."""
    names = [meter.name for meter in meters]
    question = f"Meter it is behind, such as the main one (empty: none; {', '.join(names)})"
    known = OneOf(["", *names])
    return str(click.prompt(question, "", type=known, show_default=False, show_choices=False))


def _asked_counter() -> NextCounter:
    if not sys.stdin.isatty():
        return "auto"
    question = "Does its counter start again (no: it is the same device, paired again)?"
    return "anew" if click.confirm(question, default=True) else "continues"


def _named(text: str) -> dict[str, str]:
    """Return the name of a meter, with the label that it had where letters are not allowed."""
    name, label = name_and_label(text)
    if not name:
        raise misuse("a name needs a letter from a to z, or a digit")
    return {"name": name} | ({"label": label} if label else {})


def _asked_name(label: str, taken: Collection[str]) -> dict[str, str]:
    """Return a name derived from the label; in a terminal it is only proposed.

    There a typed name that becomes another one is the label, too.
    """
    if not sys.stdin.isatty():
        return {"name": unique_slug(label or "meter", taken)}
    from esquirell.cli.meter_questions import ask_name  # noqa: PLC0415 - only a terminal asks

    proposed = unique_slug(label or ("meter" if taken else "main"), taken)
    name, typed = ask_name(taken, proposed)
    return {"name": name} | ({"label": typed} if typed else {})


def _key_of(device_id: str) -> str:
    """Return the local key of a device: in a terminal from a list or an account, else as typed."""
    if not sys.stdin.isatty():
        return _asked_key()
    from esquirell.cli import guide  # noqa: PLC0415 - only a terminal asks

    return guide.known_key(device_id) or _asked_key()


def _asked_key() -> str:
    """Ask for a local key; in a terminal until it is valid."""
    while True:
        hidden = sys.stdin.isatty()
        typed = str(click.prompt("Local key", hide_input=hidden, default="", show_default=False))
        key = key_as_pasted(typed)
        if len(key) == LOCAL_KEY_LENGTH:
            return key
        sentence = f"the local key has {len(key)} characters, not {LOCAL_KEY_LENGTH}"
        if not hidden:
            raise ConfigError(sentence)
        warn(sentence)
