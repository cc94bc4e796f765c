"""`esquirell profiles`: what the datapoints of products mean. No configuration needed."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.output import Row, complain, in_terminal, print_json, print_table, say, warn
from esquirell.cli.values import plain, unit_of
from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Datapoint, Profile
from esquirell.profiles import find, own, shipped
from esquirell.profiles.capture import Trial, as_capture, try_capture
from esquirell.profiles.choice import PUBLISHED
from esquirell.profiles.document import read, read_text
from esquirell.profiles.explanation import Explained, Explanation, explain
from esquirell.settings import files

_FILE = click.Path(path_type=Path)
LARGEST_FILE = 1024 * 1024
_ANSWERS = ("dps", "status")
_NAMES: Mapping[type, str] = {str: "text", dict: "an object", list: "a list"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "dps": (dict,),
    "status": (dict, list),
    "mapping": (dict,),
    "spec": (dict, list),
    "product_id": (str,),
    "category": (str,),
}


@click.group("profiles", cls=Group)
def profiles() -> None:
    """List, show, check and try profiles of products.

    Your own profiles are in the folder "profiles" beside the configuration file.
    """


@profiles.command("list")
@click.argument("text", required=False)
@pass_call
def list_profiles(call: Call, text: str | None) -> None:
    """List shipped profiles and your own, or those whose name, title or product id contains TEXT.

    Yours take precedence over shipped ones with the same name or product.
    """
    mine = own(_folder(call))
    library = {
        name: profile
        for name, profile in sorted((shipped() | mine).items())
        if text is None or _mentions(profile, text)
    }
    if call.json:
        print_json([_described(profile, mine) for profile in library.values()])
        return
    rows = [
        (name, profile.title, profile.category, _source(profile, mine))
        for name, profile in library.items()
    ]
    print_table(("name", "title", "category", "from"), rows, empty=_no_profile(text or ""))


def _mentions(profile: Profile, text: str) -> bool:
    named = (profile.name, profile.title, profile.category, *profile.products)
    return any(text.casefold() in word.casefold() for word in named)


def _no_profile(text: str) -> str:
    """Return why a product without a profile may need none."""
    if PUBLISHED.of_product(text):
        return (
            f'{text} needs no profile: its datapoints are published, and profile = "auto" reads it'
        )
    return (
        f'no profile mentions {text}; most meters are recognised without one, by profile = "auto"'
    )


@profiles.command("show")
@click.argument("name")
@pass_call
def show(call: Call, name: str) -> None:
    """Show one profile, datapoint by datapoint."""
    mine = own(_folder(call))
    profile = find(name, mine)
    if call.json:
        print_json(_described(profile, mine) | {"datapoints": _datapoints(profile)})
        return
    say(f"{profile.name}: {profile.title} ({_source(profile, mine)})")
    print_table(_HEADINGS, list(_rows(profile)))


@profiles.command("check")
@click.argument("file", type=_FILE)
@pass_call
def check(call: Call, file: Path) -> int:
    """Check a profile that you wrote.

    Shows what it would produce; exits with 2 if something in it is wrong.
    """
    try:
        profile = read(file)
    except ConfigError as error:
        if call.json:
            print_json({"ok": False, "errors": [str(error)], "warnings": [], "keys": []})
        complain(str(error))
        return 2
    warnings = list(_displaced(profile))
    if call.json:
        keys = list(profile.keys)
        print_json({"ok": True, "errors": [], "warnings": warnings, "keys": keys})
        return 0
    _report(file, profile, warnings)
    return 0


@profiles.command("try")
@click.argument("file", type=_FILE)
@click.option("--explain", "why", is_flag=True, help="Explain the result, datapoint by datapoint.")
@pass_call
def try_(call: Call, file: Path, *, why: bool) -> None:
    """Decode a captured answer, as the service would.

    FILE is a JSON object with dps or status, and what is known about the product: product_id,
    category, mapping or spec. An entry of tinytuya's devices.json plus its dps will do, and so
    will the diagnostics of a device that Home Assistant offers for Tuya and Tuya Local.
    """
    captured = _read_capture(file)
    trial = try_capture(captured, _folder(call))
    explanation = explain(captured, _folder(call)) if why else None
    if call.json:
        extra = {"explanation": asdict(explanation)} if explanation else {}
        print_json(
            {
                "profile": trial.profile,
                "values": dict(trial.values),
                "diagnostics": dict(trial.diagnostics),
                "warnings": list(trial.warnings),
            }
            | extra
        )
        return
    _print_trial(trial)
    if explanation:
        _print_explanation(explanation)


_HEADINGS = ("dp", "code", "gives", "unit", "divisor", "frame")


def _rows(profile: Profile) -> Iterator[Row]:
    for dp, point in profile.datapoints.items():
        key = point.key or point.adds or ""
        divisor = f"{point.divisor:g}" if key else ""
        yield dp, point.code, _gives(point), unit_of(key), divisor, point.frame or ""


def _gives(point: Datapoint) -> str:
    if point.adds:
        return f"adds to {point.adds}"
    return " ".join(point.keys) or "(diagnostic)"


def _described(profile: Profile, mine: Mapping[str, Profile]) -> dict[str, Any]:
    shown = profile.model_dump(mode="json", exclude={"datapoints"})
    return shown | {"from": _source(profile, mine), "keys": list(profile.keys)}


def _datapoints(profile: Profile) -> dict[str, Any]:
    return {
        dp: point.model_dump(mode="json", exclude_defaults=True)
        for dp, point in profile.datapoints.items()
    }


def _source(profile: Profile, mine: Mapping[str, Profile]) -> str:
    return "own" if profile.name in mine else "shipped"


def _folder(call: Call) -> Path | None:
    return files.profiles_beside(files.locate(call.config, os.environ))


def _displaced(profile: Profile) -> Iterator[str]:
    """Return the shipped profiles that a user's own one replaces."""
    if profile.name in shipped():
        yield f"it takes the place of the shipped profile {profile.name}"
    for other in shipped().values():
        both = sorted(set(profile.products) & set(other.products))
        if both and other.name != profile.name:
            yield f"it wins over the shipped profile {other.name} for {', '.join(both)}"


def _report(file: Path, profile: Profile, warnings: list[str]) -> None:
    for warning in warnings:
        warn(warning)
    count = len(profile.keys)
    say(f"{file} is fine: {profile.title}, {count} {'value' if count == 1 else 'values'}")
    print_table(_HEADINGS, list(_rows(profile)))


def _print_trial(trial: Trial) -> None:
    for warning in trial.warnings:
        warn(warning)
    values = [("profile", trial.profile, "")]
    values += [(key, plain(value), unit_of(key)) for key, value in trial.values.items()]
    print_table(("quantity", "value", "unit"), values, right=("value",) if in_terminal() else ())
    if trial.diagnostics:
        print_table(("diagnostic", "value"), [(k, plain(v)) for k, v in trial.diagnostics.items()])


def _print_explanation(explanation: Explanation) -> None:
    say(f"found by: {explanation.found}")
    for proof in explanation.proofs:
        say(f"proof: {proof}")
    for refused in explanation.refused:
        say(f"refused: {refused}")
    rows = [
        (point.dp, plain(point.raw), point.became, "; ".join(_reasons(point)))
        for point in explanation.datapoints
    ]
    print_table(("dp", "raw", "became", "why"), rows)


def _reasons(one: Explained) -> Iterator[str]:
    """Return what supports a datapoint's meaning, else who proposed it, and what contradicts it."""
    yield from one.supported or (f"proposed by {name}" for name in one.proposed)
    yield from (f"against it: {reason}" for reason in one.refused)


def _read_capture(file: Path) -> Mapping[str, Any]:
    """Read a captured answer. Raises ConfigError when the file contains none."""
    found = _json(file)
    if not isinstance(found, dict):
        raise ConfigError(
            f"{file} contains no JSON object: it must be one device with its dps or status"
        )
    found = as_capture(found)
    for name, kinds in _KINDS.items():
        if found.get(name) is not None and not isinstance(found[name], kinds):
            wanted = " or ".join(_NAMES[kind] for kind in kinds)
            raise ConfigError(f"{file}: {name} must be {wanted}")
    if all(found.get(name) is None for name in _ANSWERS):
        raise ConfigError(f"{file} has neither dps nor status: add what the device answered")
    return found


def _json(file: Path) -> object:
    text = read_text(file, LARGEST_FILE, "captured answer")
    try:
        found = json.loads(text)
        # What can't be serialized can't be shown or stored either: NaN, infinity, lone surrogates.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    return found
