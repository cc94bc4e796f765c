"""Loading the settings: the file passes through STEPS in order."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.settings import added_meters, environment, files, home_assistant_app, secret_files
from esquirell.settings.checks import check
from esquirell.settings.environment import Assignment
from esquirell.settings.files import ConfigFile
from esquirell.settings.layers import SECTIONS, Table, prepare
from esquirell.settings.model import DEFAULT_SCHEDULE, Settings
from esquirell.settings.origins import Origins
from esquirell.settings.sentences import first_sentence
from esquirell.settings.zones import machine_zone, wrong_zone


@dataclass(slots=True)
class LoadState:
    """A configuration being loaded: its sources, and the `tables` that the steps complete.

    `origins` knows where each setting came from; `warnings` holds one sentence each. `app` has the
    options if this runs as a Home Assistant app. `left_out` maps added meters whose files can't be
    used to the reason.
    """

    file: ConfigFile
    given: Sequence[Assignment]
    environ: Mapping[str, str]
    edit: added_meters.Edit | None = None
    app: home_assistant_app.App | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    origins: Origins = field(init=False)
    tables: Table = field(init=False)
    added: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    no_meter: str = ""
    open_token: str = ""

    def __post_init__(self) -> None:
        """Start with the content of the file."""
        self.origins, self.tables = Origins(self.file.name), self.file.tables


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    edit: added_meters.Edit | None = None,
) -> Settings:
    """Load the settings; nothing is written, and each call reads everything again.

    The file is `path`, else `$ESQUIRELL_CONFIG`, else the first one found in the usual places.
    Without a file, only the `ESQUIRELL_…` variables and the options of a Home Assistant app apply.
    Added meters are in the state directory; one whose file is damaged is left out and does not
    affect the others. `edit` is a change to one of them, which must work. Raises ConfigError with
    one sentence that names the place and what to change.
    """
    environ = os.environ if environ is None else environ
    if edit is not None:
        left_out = load(path, environ).left_out
        others = {name: left_out[name] for name in left_out if name != edit.name}
        return complete(_read(path, environ, edit, others))
    try:
        return complete(_read(path, environ))
    except ConfigError as error:
        return _without_damaged(path, environ, error)


def _without_damaged(path: Path | None, environ: Mapping[str, str], error: ConfigError) -> Settings:
    """Load the settings without damaged added meters. Raises `error` if it has another cause."""
    candidates = _added(_read(path, environ))
    left_out = dict.fromkeys(candidates, str(error))
    if not candidates:
        raise error
    settings = complete(_read(path, environ, None, left_out))
    for name in candidates:
        others = {key: problem for key, problem in left_out.items() if key != name}
        try:
            settings = complete(_read(path, environ, None, others))
        except ConfigError as problem:
            left_out[name] = str(problem)
        else:
            left_out = others
    return settings.model_copy(update={"left_out": left_out})


def _added(state: LoadState) -> list[str]:
    """Return the names of the meters that were added. Raises ConfigError."""
    for step in OF_THE_FILE:
        step(state)
    state_dir = state.tables["state_dir"]
    return added_meters.names(Path(state_dir)) if isinstance(state_dir, str) else []


def complete(state: LoadState) -> Settings:
    """Take a state through all steps and validate the result as a whole. Raises ConfigError."""
    for step in STEPS:
        step(state)
    settings = _validated(state)
    check(settings, state.origins)
    damaged = _damaged_profiles(settings.profiles_dir)
    return settings.model_copy(update={"damaged_profiles": damaged}) if damaged else settings


def _read(
    path: Path | None,
    environ: Mapping[str, str],
    edit: added_meters.Edit | None = None,
    left_out: Mapping[str, str] | None = None,
) -> LoadState:
    """Read the file and the environment."""
    file, given = files.find(path, environ), environment.read(environ)
    app = home_assistant_app.read(environ)
    if file is None and not given and app is None:
        raise files.NoConfigurationError
    file = file or ConfigFile(None, {}, exposed=False)
    return LoadState(file, given, environ, edit, app, left_out or {})


def _prepare_file(state: LoadState) -> None:
    """Reject unknown keys in the file, split URLs and passwords, make its paths absolute."""
    prepare(state.tables, state.file.folder, state.origins)
    name = state.file.name
    if state.file.exposed and secret_files.holds_secrets(state.tables, state.origins):
        state.warnings.append(
            f"{name} holds passwords or keys and other users can read it: chmod 600 {name}"
        )


def _hear_home_assistant(state: LoadState) -> None:
    """In a Home Assistant app: apply its options on top of the file, and its defaults below."""
    if state.app:
        state.warnings.extend(state.app.complete(state.tables))
        environment.cover_tables(state.tables, state.app.options, Path.cwd(), state.origins)


def _cover_sections(state: LoadState) -> None:
    """Apply the environment's sections and lists on top of those of the file."""
    environment.cover_tables(state.tables, state.given, Path.cwd(), state.origins)


def _ask_the_machine(state: LoadState) -> None:
    """Set the time zone and the state directory; systemd's overrides the configured one."""
    tables, zone = state.tables, machine_zone(state.environ)
    if "timezone" not in tables and zone is None:
        reason = wrong_zone(state.environ) or "this machine's is unknown"
        state.warnings.append(f"{state.file.name}: timezone is missing and {reason}: UTC is used")
    tables.setdefault("timezone", zone or "UTC")
    if systemd := state.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        tables["state_dir"] = systemd
    if "state_dir" not in tables:
        tables["state_dir"] = str((state.file.folder / "data").absolute())
        _warn_of_divided_state(state)


def _warn_of_divided_state(state: LoadState) -> None:
    """Warn where the service gets its folder from systemd, and a command would take another."""
    if state.file.path and state.file.folder.absolute() == files.SERVICE_FOLDER:
        state.warnings.append(
            f"{state.file.name}: state_dir is missing: this looks into {state.tables['state_dir']},"
            f' and the service keeps its readings in {files.SERVICE_STATE}; add state_dir = "'
            f'{files.SERVICE_STATE}" above the first section'
        )


def _add_meters(state: LoadState) -> None:
    """Add the meters that were added at run time to those of the file."""
    state_dir = state.tables["state_dir"]
    # Anything but text is rejected later, with the other settings.
    if isinstance(state_dir, str):
        folder = Path(state_dir)
        state.added = added_meters.include(
            state.tables, folder, state.origins, state.edit, state.left_out
        )
        if added_meters.are_hidden(Path(state_dir)):
            state.warnings.append(
                f"meters that were added in {state_dir} are left out, as this user may not read "
                "it: use sudo, or run as its owner"
            )
            return
    if not state.tables.get("meters") and not state.left_out:
        state.no_meter = (
            home_assistant_app.NO_METER
            if state.app
            else f"{state.file.name}: no meter is configured: add one with esquirell meters add"
        )


def _cover_items(state: LoadState) -> None:
    """Apply the environment's keys of single meters and schedules on top of the existing ones."""
    state.tables["schedules"] = state.tables.get("schedules") or [dict(DEFAULT_SCHEDULE)]
    given = [assignment for assignment in state.given if not _is_left_out(state, assignment)]
    environment.cover_items(state.tables, given, Path.cwd(), state.origins)
    for section in SECTIONS:
        state.tables.setdefault(section, {})


def _is_left_out(state: LoadState, given: Assignment) -> bool:
    """Whether a variable concerns a meter that is left out."""
    kind, *spelt = given.table or ("",)
    names = {name.replace("-", "_") for name in state.left_out}
    return kind == "meters" and bool({*spelt} & (names | state.left_out.keys()))


def _read_secrets(state: LoadState) -> None:
    """Replace secret files by their content."""
    state.warnings.extend(_open_files(state))
    folders = secret_files.folders(state.environ, state.file.folder)
    secret_files.resolve(state.tables, folders, state.origins)


def _open_files(state: LoadState) -> Iterator[str]:
    if open_token := secret_files.drop_open_token(state.tables):
        state.open_token = open_token
        yield open_token
    for path in secret_files.exposed_files(state.tables, state.origins):
        yield f"{path} holds a secret and every user can read it: chmod o= {path}"


def _compare_addresses(state: LoadState) -> None:
    """Warn about meters at the same address: a device serves one connection, and is one meter."""
    known: dict[tuple[str, str], str] = {}
    meters = state.tables.get("meters")
    for meter in meters if isinstance(meters, list) else ():
        if not isinstance(meter, dict) or meter.get("gateway") or "address" not in meter:
            continue
        where = str(meter["address"]), str(meter.get("port", Meter.model_fields["port"].default))
        other = known.setdefault(where, str(meter.get("name")))
        is_read = meter["address"] != "auto" and meter.get("transport", "local") == "local"
        if is_read and other != meter.get("name"):
            state.warnings.append(
                f"meters.{other} and meters.{meter.get('name')} have the same address "
                f"{':'.join(where)}: a device is one meter, so correct one of them"
            )


Steps = tuple[Callable[[LoadState], None], ...]

OF_THE_FILE: Steps = (_prepare_file, _hear_home_assistant, _cover_sections, _ask_the_machine)
STEPS: Steps = (
    *OF_THE_FILE,
    _add_meters,
    _cover_items,
    _compare_addresses,
    _read_secrets,
)


def _validated(state: LoadState) -> Settings:
    found = {
        "source": state.file.source,
        "added": state.added,
        "left_out": state.left_out,
        "warnings": state.warnings,
        "no_meter": state.no_meter,
        "open_token": state.open_token,
    }
    try:
        return Settings.model_validate(state.tables | found)
    except ValidationError as error:
        problem = first_sentence(error, state.tables, state.origins)
    # Raised here, it has no pydantic error as its context: that one contains the values.
    raise ConfigError(problem)


def _damaged_profiles(folder: Path | None) -> dict[str, str]:
    """Load the user's own profiles, so that an invalid one is reported now, not when it is used."""
    if folder is None or not folder.exists():
        return {}
    from esquirell import profiles  # noqa: PLC0415 - slow, and rarely needed

    return profiles.own_usable(folder)[1]
