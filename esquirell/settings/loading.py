"""Loading: the file, the environment on top, secrets from their files, everything checked."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
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


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    edit: added_meters.Edit | None = None,
) -> Settings:
    """Load the settings; nothing is written, and each call reads everything anew.

    The file is `path`, else `$ESQUIRELL_CONFIG`, else the first one found where files are
    looked for; without any, the variables `ESQUIRELL_…` alone have to do. Meters that were
    added lie in the state directory; `edit` is what is to be changed of them. Raises ConfigError
    with one sentence that names the place and what to change.
    """
    environ = os.environ if environ is None else environ
    file = files.find(path, environ)
    given = environment.read(environ)
    if file is None and not given:
        raise files.missing()
    return _combine(file or ConfigFile(None, {}, exposed=False), given, environ, edit)


def _combine(
    file: ConfigFile,
    given: Sequence[Assignment],
    environ: Mapping[str, str],
    edit: added_meters.Edit | None,
) -> Settings:
    places = Places(file.name)
    data = file.tables
    prepare(data, file.folder, places)
    exposed = file.exposed and secret_files.holds_secrets(data, places)
    overlay.cover_tables(data, given, Path.cwd(), places)
    found_out = _found_out(data, file.folder, environ)
    added = _add_meters(data, found_out["state_dir"], places, edit)
    _cover_items(data, given, places)
    open_token = secret_files.drop_open_token(data)
    open_files = secret_files.exposed_files(data, places)
    secret_files.resolve(data, secret_files.folders(environ, file.folder), places)
    warnings = (
        *(
            f"{path} holds a secret and every user can read it: chmod o= {path}"
            for path in open_files
        ),
        *([open_token] if open_token else []),
        *_warnings(data, file.name, environ, exposed=exposed),
    )
    data |= found_out
    settings = _validated(data | {"source": file.source, "added": added}, places)
    check(settings, places)
    _check_profiles(settings.profiles_dir)
    return settings.model_copy(update={"warnings": warnings})


def _check_profiles(folder: Path | None) -> None:
    """Load the user's own profiles, so that a faulty one is told now, not by the first reading."""
    if folder is not None and folder.exists():
        from esquirell import profiles  # noqa: PLC0415 - it takes long, and few have any

        profiles.own(folder)


def _add_meters(
    data: Table, state_dir: object, places: Places, edit: added_meters.Edit | None
) -> list[str]:
    # Anything else than a text is refused later, with the other settings.
    if not isinstance(state_dir, str):
        return []
    return added_meters.include(data, Path(state_dir), places, edit)


def _cover_items(data: Table, given: Sequence[Assignment], places: Places) -> None:
    data["schedules"] = data.get("schedules") or [dict(DEFAULT_SCHEDULE)]
    overlay.cover_items(data, given, Path.cwd(), places)
    for section in SECTIONS:
        data.setdefault(section, {})


def _found_out(data: Table, folder: Path, environ: Mapping[str, str]) -> Table:
    """Give what the machine says: systemd's state directory wins over the configured one."""
    systemd = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    beside = (folder / "data").absolute()
    return {
        "timezone": data.get("timezone", machine_zone(environ) or "UTC"),
        "state_dir": systemd or data.get("state_dir", str(beside)),
    }


def _warnings(
    data: Table, name: str, environ: Mapping[str, str], *, exposed: bool
) -> Iterator[str]:
    if exposed:
        yield f"{name} holds passwords or keys and other users can read it: chmod 600 {name}"
    if "timezone" not in data and machine_zone(environ) is None:
        yield f"{name}: timezone is missing and this machine's can't be told: UTC is used"
    if not data.get("meters"):
        yield f"{name}: no meter is configured: esquirell meters add adds one"


def _validated(data: Table, places: Places) -> Settings:
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problem = first_sentence(error, data, places)
    # Raised out here, it carries no pydantic error along: that one holds the values.
    raise ConfigError(problem)
