"""Loading: what the file says goes through STEPS, one after the other, and never back."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.settings import added_meters, environment, files, overlay, secret_files
from esquirell.settings.checks import check
from esquirell.settings.environment import Assignment
from esquirell.settings.files import ConfigFile
from esquirell.settings.keys import SECTIONS
from esquirell.settings.layers import Table, prepare
from esquirell.settings.model import DEFAULT_SCHEDULE, Settings
from esquirell.settings.places import Places
from esquirell.settings.sentences import first_sentence
from esquirell.settings.zones import machine_zone


@dataclass(slots=True)
class Draft:
    """A configuration on its way: what was read, and `tables`, which the steps complete.

    `places` knows where each setting came from; `warnings` are one sentence each.
    """

    file: ConfigFile
    given: Sequence[Assignment]
    environ: Mapping[str, str]
    edit: added_meters.Edit | None = None
    places: Places = field(init=False)
    tables: Table = field(init=False)
    added: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what the file says."""
        self.places, self.tables = Places(self.file.name), self.file.tables


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    edit: added_meters.Edit | None = None,
) -> Settings:
    """Load the settings; nothing is written, and each call reads everything again.

    The file is `path`, else `$ESQUIRELL_CONFIG`, else the first one found where files are
    looked for; without any, the variables `ESQUIRELL_…` alone have to do. Meters that were
    added lie in the state directory; `edit` is what is to be changed of them. Raises ConfigError
    with one sentence that names the place and what to change.
    """
    return complete(_read(path, os.environ if environ is None else environ, edit))


def complete(draft: Draft) -> Settings:
    """Take a draft through all steps; what comes out is checked as a whole. Raises ConfigError."""
    for step in STEPS:
        step(draft)
    settings = _validated(draft)
    check(settings, draft.places)
    _check_profiles(settings.profiles_dir)
    return settings


def _read(path: Path | None, environ: Mapping[str, str], edit: added_meters.Edit | None) -> Draft:
    """Read the file and the environment."""
    file, given = files.find(path, environ), environment.read(environ)
    if file is None and not given:
        raise files.NoConfigurationError
    return Draft(file or ConfigFile(None, {}, exposed=False), given, environ, edit)


def _prepare_file(draft: Draft) -> None:
    """Refuse unknown keys of the file, part URLs and passwords, make its paths absolute."""
    prepare(draft.tables, draft.file.folder, draft.places)
    name = draft.file.name
    if draft.file.exposed and secret_files.holds_secrets(draft.tables, draft.places):
        draft.warnings.append(
            f"{name} holds passwords or keys and other users can read it: chmod 600 {name}"
        )


def _cover_sections(draft: Draft) -> None:
    """Put the environment's sections and lists over those of the file."""
    overlay.cover_tables(draft.tables, draft.given, Path.cwd(), draft.places)


def _ask_the_machine(draft: Draft) -> None:
    """Complete the time zone and the state directory; systemd's wins over the configured one."""
    tables, zone = draft.tables, machine_zone(draft.environ)
    if "timezone" not in tables and zone is None:
        draft.warnings.append(
            f"{draft.file.name}: timezone is missing and this machine's can't be told: UTC is used"
        )
    tables.setdefault("timezone", zone or "UTC")
    tables.setdefault("state_dir", str((draft.file.folder / "data").absolute()))
    if systemd := draft.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        tables["state_dir"] = systemd


def _add_meters(draft: Draft) -> None:
    """Put the meters that were added at run time beside those of the file."""
    state_dir = draft.tables["state_dir"]
    # Anything else than a text is refused later, with the other settings.
    if isinstance(state_dir, str):
        draft.added = added_meters.include(draft.tables, Path(state_dir), draft.places, draft.edit)
        if added_meters.are_hidden(Path(state_dir)):
            draft.warnings.append(
                f"meters that were added in {state_dir} are left out, as this user may not look "
                "into it: run this with sudo, or as its owner"
            )
            return
    if not draft.tables.get("meters"):
        draft.warnings.append(
            f"{draft.file.name}: no meter is configured: esquirell meters add adds one"
        )


def _cover_items(draft: Draft) -> None:
    """Put the environment's keys of single meters and schedules over what there is."""
    draft.tables["schedules"] = draft.tables.get("schedules") or [dict(DEFAULT_SCHEDULE)]
    overlay.cover_items(draft.tables, draft.given, Path.cwd(), draft.places)
    for section in SECTIONS:
        draft.tables.setdefault(section, {})


def _read_secrets(draft: Draft) -> None:
    """Put secrets in the place of the files that hold them."""
    draft.warnings.extend(_open_files(draft))
    folders = secret_files.folders(draft.environ, draft.file.folder)
    secret_files.resolve(draft.tables, folders, draft.places)


def _open_files(draft: Draft) -> Iterator[str]:
    if open_token := secret_files.drop_open_token(draft.tables):
        yield open_token
    for path in secret_files.exposed_files(draft.tables, draft.places):
        yield f"{path} holds a secret and every user can read it: chmod o= {path}"


def _compare_addresses(draft: Draft) -> None:
    """Warn of meters at one address: a device serves one connection, and is one meter."""
    known: dict[tuple[str, str], str] = {}
    meters = draft.tables.get("meters")
    for meter in meters if isinstance(meters, list) else ():
        if not isinstance(meter, dict) or meter.get("gateway") or "address" not in meter:
            continue
        where = str(meter["address"]), str(meter.get("port", Meter.model_fields["port"].default))
        other = known.setdefault(where, str(meter.get("name")))
        is_read = meter["address"] != "auto" and meter.get("transport", "local") == "local"
        if is_read and other != meter.get("name"):
            draft.warnings.append(
                f"meters.{other} and meters.{meter.get('name')} have the same address "
                f"{':'.join(where)}: a device is one meter, so correct one of them"
            )


STEPS: tuple[Callable[[Draft], None], ...] = (
    _prepare_file,
    _cover_sections,
    _ask_the_machine,
    _add_meters,
    _cover_items,
    _compare_addresses,
    _read_secrets,
)


def _validated(draft: Draft) -> Settings:
    found = {"source": draft.file.source, "added": draft.added, "warnings": draft.warnings}
    try:
        return Settings.model_validate(draft.tables | found)
    except ValidationError as error:
        problem = first_sentence(error, draft.tables, draft.places)
    # Raised out here, it carries no pydantic error along: that one holds the values.
    raise ConfigError(problem)


def _check_profiles(folder: Path | None) -> None:
    """Load the user's own profiles: an invalid one is reported now, not at the first reading."""
    if folder is not None and folder.exists():
        from esquirell import profiles  # noqa: PLC0415 - it takes long, and few have any

        profiles.own(folder)
