"""Write the manual page of esquirell from the help texts of its commands.

`python script/manpage.py > esquirell.1`; the Debian package contains it.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import version

import click

from esquirell.cli.app import app
from esquirell.cli.commands import SECTIONS
from esquirell.settings.files import SEARCHED

EXIT_CODES = {
    "0": "Success.",
    "1": "The command failed.",
    "2": "Wrong usage or configuration.",
}


def page() -> str:
    """Return the manual page in the language of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    root = click.Context(app, info_name="esquirell")
    release = version("esquirell")
    yield f'.TH ESQUIRELL 1 "" "esquirell {release}" "User commands"'
    yield ".SH NAME\nesquirell \\- Tuya energy meters into a database and into Home Assistant"
    yield ".SH SYNOPSIS\n.B esquirell\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]"
    yield f".SH DESCRIPTION\n{_text(app.help or '')}"
    yield ".SH OPTIONS"
    yield from _options(app, root)
    for heading, commands in SECTIONS.items():
        yield f".SH COMMANDS: {heading.upper()}"
        for name in commands:
            command = app.get_command(root, name)
            assert command is not None  # noqa: S101 - the names are the table's own
            yield from _command(command, root, name)
    yield ".SH FILES"
    for file in SEARCHED:
        yield f".TP\n.I {_text(str(file))}\nThe configuration; the first of these that is there."
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_CODES.items():
        yield f".TP\n.B {code}\n{meaning}"


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(context.command_path)} {_text(usage)}"
    yield _text(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None  # noqa: S101 - as above
            yield from _command(found, context, each)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    common = {"config", "json", "debug", "version", "help"} if context.parent else set()
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and parameter.name not in common:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}"


def _text(words: str) -> str:
    """Return text as man(7) shows it: no line is a request, a hyphen is one that can be copied."""
    plain = words.replace("\\", "\\e").replace("-", "\\-").replace("\b", "")
    lines = (line.strip() for line in plain.splitlines())
    return "\n".join(
        f"\\&{line}" if line.startswith((".", "'")) else line or ".PP" for line in lines
    )


if __name__ == "__main__":
    sys.stdout.write(page())
