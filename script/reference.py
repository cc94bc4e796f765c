"""Write docs/reference/ from the code; a test fails when it is out of date."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from support.captures import captures, no_meters
from support.judge import Verdict, judge, judge_left_out, table

from esquirell import profiles
from esquirell.cli.app import app
from esquirell.cli.commands import SECTIONS
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import QUANTITIES, split_key
from esquirell.domain.schedule import Schedule
from esquirell.domain.tariff import Tariff, Window
from esquirell.profiles.capture import try_capture
from esquirell.profiles.layouts import Published
from esquirell.services.command_table import COMMANDS as REQUESTS
from esquirell.services.command_table import Job
from esquirell.settings.model import Configuration
from esquirell.settings.values import write_span

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config" / "esquirell.example.toml"
_TITLE = re.compile(r"#?\[\[?(?P<name>[a-z_]+)\]\]?$")
_KEY = re.compile(r"#?(?P<name>[a-z_]+) = (?:'[^']*'|\"[^\"]*\"|[^#]*?)(?:\s+# (?P<comment>.*))?$")
# These are in a table of their own, which the example shows in one line each.
WINDOW = {
    "begin": "local time on a quarter of an hour",
    "end": "local time on a quarter of an hour; `00:00` is midnight",
    "weekdays": "the weekdays on which it begins, `mon` to `sun`; default: all",
    "valid_from": "the first day on which it applies",
    "valid_until": "the day after the last one on which it applies",
    "import_price": "per kWh; default: the price of the tariff",
    "export_price": "per kWh; default: the price of the tariff",
}
NOTE = "<!-- Written by script/reference.py: change the code, then run `make reference`. -->\n"
WIDTH = 92
# Of so many phases or channels all are listed, of more the first and the last.
_LISTED = 4
SOURCES = {"mqtt": "MQTT", "cli": "command line", "web": "page", "api": "API"}


def pages() -> dict[str, str]:
    """Build all pages: their file names and texts."""
    return {
        "commands.md": _page("Commands", _commands()),
        "settings.md": _page("Settings", _settings()),
        "quantities.md": _page("Quantities", _quantities()),
        "profiles.md": _page("Supported products", _profiles()),
        "requests.md": _page("Requests", _requests()),
        "accuracy.md": _page("Accuracy", _accuracy()),
    }


def _page(title: str, lines: Iterator[str]) -> str:
    return f"{NOTE}\n# {title}\n\n" + "\n".join(lines).rstrip() + "\n"


def _commands() -> Iterator[str]:
    yield "The output of `esquirell COMMAND --help`. Exit codes: 0 success, 1 the command failed,"
    yield "2 wrong usage or configuration.\n"
    root = click.Context(app, info_name="esquirell", terminal_width=WIDTH)
    for heading, commands in SECTIONS.items():
        yield f"## {heading}\n"
        for name in commands:
            command = app.get_command(root, name)
            assert command is not None  # noqa: S101 - the names are the table's own
            yield from _command(command, root, name)


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    level = "###" if parent.parent is None else "####"
    yield f"{level} {context.command_path}\n\n```text\n{context.get_help()}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None  # noqa: S101 - as above
            yield from _command(found, context, each)


def _settings() -> Iterator[str]:
    yield "Every key of the configuration file, with its default. A variable on the right, set in"
    yield "the environment, wins over the file. A secret `KEY` may also be given as `KEY_file`.\n"
    yield from _table("", {n: f for n, f in Configuration.model_fields.items() if not _section(f)})
    for name, field in Configuration.model_fields.items():
        if section := _section(field):
            yield from _titled(f"[{name}]", section, name)
    yield from _titled("[[meters]]", Meter, "meters", many=True)
    yield from _titled("[[schedules]]", Schedule, "schedules", many=True)
    yield from _titled("[[tariffs]]", Tariff, "tariffs", many=True)
    yield from _titled("windows of [[tariffs]]", Window, "windows", many=True)
    example = EXAMPLE.read_text(encoding="utf-8")
    yield f"## An example with every setting explained\n\n```toml\n{example}```"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _titled(
    title: str, model: type[BaseModel], section: str, *, many: bool = False
) -> Iterator[str]:
    summary = (model.__doc__ or "").partition("\n\n")[0]
    yield f"## `{title}`\n\n{summary}\n"
    yield from _table(section, model.model_fields, variables=not many)


def _table(section: str, fields: dict[str, FieldInfo], *, variables: bool = True) -> Iterator[str]:
    meanings = meanings_of(EXAMPLE.read_text(encoding="utf-8"))
    last = " variable |\n|---|---|---|---|" if variables else "\n|---|---|---|"
    yield f"| key | default | meaning |{last}"
    for name, field in fields.items():
        if field.annotation in (tuple[Meter, ...], tuple[Schedule, ...], tuple[Tariff, ...]):
            continue
        meaning = meanings.get((section, name)) or WINDOW[name]
        row = f"| `{name}` | {_default(field)} | {meaning} |"
        path = "__".join(part for part in (section, name) if part).upper()
        yield f"{row} `ESQUIRELL_{path}` |" if variables else row
    yield ""


def meanings_of(example: str) -> Mapping[tuple[str, str], str]:
    """Return the comments of the example: those above or beside each key, by section and key."""
    found: dict[tuple[str, str], str] = {}
    section, comments = "", list[str]()
    for line in example.splitlines():
        if title := _TITLE.match(line):
            # What is above the title of a list explains its tables.
            section = title["name"]
        elif key := _KEY.match(line):
            beside = (key["comment"] or "").strip()
            text = " ".join(filter(None, [*comments, beside])).removesuffix(":")
            found.setdefault((section, key["name"]), text.replace("|", "\\|").replace("<", "&lt;"))
            comments.clear()
        elif not line.startswith("# "):
            comments.clear()
        elif not line.startswith("#  "):  # an example within a comment
            comments.append(line[2:])
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value: Any = field.default
    if value is PydanticUndefined:
        return "`{}`" if field.default_factory is dict else "that of this machine"
    if isinstance(value, timedelta):
        return f"`{write_span(value)}`"
    if isinstance(value, SecretStr) or value in (None, "", ()):
        return ""
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _quantities() -> Iterator[str]:
    yield "What a reading can hold. A phase, channel or input is a suffix of the key: `voltage_a`,"
    yield "`active_power_1`, `current_pv1`; a device's total has none.\n"
    yield "| key | unit | in Home Assistant: class | state class |\n|---|---|---|---|"
    for one in QUANTITIES.values():
        yield f"| `{one.key}` | {one.unit or '1'} | `{one.device_class}` | `{one.state_class}` |"


def _profiles() -> Iterator[str]:
    yield "Look for your meter by its name or product id: with the search box of this site, the"
    yield "search of your browser, or `esquirell profiles list TEXT`. `esquirell scan` shows the"
    yield "product ids on your network. Most meters that are not listed are"
    yield "[recognised by their answers](../explanation/recognition.md).\n"
    yield "## Products with a profile\n"
    yield "`esquirell profiles show NAME` prints one, datapoint by datapoint.\n"
    yield "| product | profile | measures | product ids |\n|---|---|---|---|"
    for name, profile in profiles.shipped().items():
        ids = ", ".join(f"`{product}`" for product in profile.products)
        yield f"| {profile.title} | `{name}` | {_measured(profile)} | {ids} |"
    named = {product for one in profiles.shipped().values() for product in one.products}
    every = {product for layout in Published().every() for product in layout.products}
    yield f"\n## {len(every - named):,} more products by their ids\n"
    yield "Their datapoints are published, so that they need no profile.\n"
    yield " ".join(f"`{product}`" for product in sorted(every - named))


def _measured(profile: Profile) -> str:
    """Name the quantities of a profile, each once, with its phases or channels."""
    of: dict[str, list[str]] = {}
    for key in profile.keys:
        quantity, suffix = split_key(key)
        of.setdefault(quantity.label.lower(), []).append(suffix.replace("_", " ").upper())
    parts = []
    for label, suffixes in of.items():
        parted = sorted(filter(None, suffixes), key=lambda one: (len(one), one))
        numbered = len(parted) > _LISTED and all(map(str.isdigit, parted))
        shown = f"{parted[0]} to {parted[-1]}" if numbered else ", ".join(parted)
        total = "total" if "" in suffixes and parted else ""
        detail = ", ".join(filter(None, (shown, total)))
        parts.append(f"{label} ({detail})" if detail else label)
    return ", ".join(parts)


def _accuracy() -> Iterator[str]:
    known, others = list(captures()), list(no_meters())
    yield "Of real meters, captured as they answered, with what each answer is known to mean"
    yield "(`tests/fixtures/meters`). [How a meter is recognised](../explanation/recognition.md)"
    yield "says how, and what these figures can and can't tell. A value counts as wrong when it is"
    yield "not what the meter meant, and when nobody expected it.\n"
    yield "What is known beside the answer:\n"
    yield from _judged(judge(known))
    yield "The same as if nobody had ever seen the product: its own profile and its published"
    yield "layout are left out.\n"
    yield from _judged(judge_left_out(known))
    yield f"Of {len(others)} devices that measure no electricity (`tests/fixtures/no_meters`), by"
    yield f"specification, product id and LAN answer: {_electrical(others)} electrical values."


def _judged(verdicts: Iterator[Verdict]) -> Iterator[str]:
    yield "| known | answers | values | right | missing | wrong |\n|---|---|---|---|---|---|"
    for way, row in table(verdicts).items():
        counts = (row["right"], row["missing"], row["wrong"])
        shares = " | ".join(f"{count} ({count / row['values']:.1%})" for count in counts)
        yield f"| {way} | {row['answers']} | {row['values']} | {shares} |"
    yield ""


def _electrical(others: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    return sum(
        split_key(key)[0].key not in ("temperature", "state_of_charge")
        for _, capture in others
        for parts in (("spec", "category", "status"), ("product_id", "dps"), ("dps",))
        if capture.get(parts[-1])
        for key in try_capture({part: capture.get(part) for part in parts}).values
    )


def _requests() -> Iterator[str]:
    yield "Every command: where it may come from, its payload and the `data` of its answer."
    yield "`esquirell/bridge/info` publishes the payloads of those that MQTT takes as JSON schemas;"
    yield "[MQTT](../mqtt.md) explains topics and answers. A job is answered twice: `accepted` with"
    yield "`task_id`, then its end. Each payload may hold a `transaction`, which comes back.\n"
    for name, command in REQUESTS.items():
        yield f"## `{name}`\n\n{(command.handler.__doc__ or '').partition(chr(10))[0]}\n"
        kind = type(command).__name__.lower()
        sources = ", ".join(SOURCES[one] for one in SOURCES if one in command.sources)
        yield f"A {kind}, from: {sources}.\n"
        yield from _fields("payload", command.payload, leave_out=("transaction",))
        yield from _fields("end" if isinstance(command, Job) else "answer", command.answer)


def _fields(title: str, model: type[BaseModel], leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    schema = model.model_json_schema()
    rules = {k: v for k, v in schema.get("properties", {}).items() if k not in leave_out}
    if not rules:
        return
    yield f"| {title} | required | what |\n|---|---|---|"
    for field, rule in rules.items():
        needed = "yes" if field in schema.get("required", ()) else ""
        yield f"| `{field}` | {needed} | {_kind(rule)} |"
    yield ""


def _kind(rule: dict[str, Any]) -> str:
    options = rule.get("anyOf", [rule])
    kinds = [str(one.get("type", one.get("const", "any"))) for one in options]
    return " or ".join(dict.fromkeys(kinds))


def main() -> None:
    """Write the pages."""
    folder = ROOT / "docs" / "reference"
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
