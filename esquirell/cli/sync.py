"""`esquirell meters sync`: keys, product ids and mappings from the cloud or the app."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esquirell.cli import accounts
from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.output import complain, print_json, say
from esquirell.domain.errors import ConfigError, MeterError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.domain.record import record

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Cloud
    from esquirell.settings.writing import Update

_RELOAD = "A running service picks this up on SIGHUP: systemctl reload esquirell"


@record
class Comparison:
    """What the cloud lists about a meter, compared with the configuration."""

    meter: Meter
    update: "Update"
    error: str | None = None

    @property
    def changes(self) -> list[str]:
        """The settings that would change."""
        values = {"local_key": self.update.local_key, "product_id": self.update.product_id}
        return [key for key, value in values.items() if value is not None]

    def payload(self) -> dict[str, Any]:
        """Return the JSON form, without any secret."""
        return {"name": self.meter.name, "changes": self.changes, "error": self.error}


@click.command("sync", cls=Command)
@click.option(
    "--from-app", "app", is_flag=True, help="Ask your app, which scans a QR code, not the cloud."
)
@pass_call
def sync(call: Call, *, app: bool) -> int:
    """Refresh keys and mappings from the cloud, or from your app.

    Useful after a device was paired again, which gives it a new key. Keys go into the files that
    hold them, the rest into the configuration and the state directory.
    """
    if app and call.json:
        raise misuse("--from-app asks questions, and draws a QR code: leave --json out")
    source, cloud = call.settings.source, call.runtime.devices.cloud
    if source is None:
        raise ConfigError("meters sync needs a configuration file to write to: esquirell init")
    if app:
        compared = list(_compare_listed(accounts.devices_of_the_app(), call.meters(())))
    elif cloud is not None:
        compared = list(_compare(cloud, call.meters(())))
    else:
        raise ConfigError(
            "meters sync needs an account: add --from-app, or set api_key and api_secret under "
            "[cloud]"
        )
    added = [comparison for comparison in compared if comparison.meter.name in call.settings.added]
    files = _write(source, [comparison for comparison in compared if comparison not in added])
    files += _write_added(call.settings.state_dir, added)
    if call.json:
        print_json([comparison.payload() for comparison in compared])
    _report(compared, files, quiet=call.json)
    return 1 if any(comparison.error for comparison in compared) else 0


def _compare(cloud: "Cloud", meters: Sequence[Meter]) -> Iterator[Comparison]:
    from esquirell.settings.writing import Update  # noqa: PLC0415 - it loads tomlkit

    for meter in meters:
        try:
            entry = cloud.entry(meter)
            key = cloud.local_key(meter) if meter.gateway else entry.local_key
        except MeterError as error:
            yield Comparison(meter, Update(), str(error))
            continue
        product_id = entry.device.product_id
        changed = product_id not in {"", meter.product_id}
        yield Comparison(meter, Update(_new_key(meter, key), product_id if changed else None))


def _compare_listed(
    listed: Iterable[Mapping[str, Any]], meters: Sequence[Meter]
) -> Iterator[Comparison]:
    from esquirell.settings.writing import Update  # noqa: PLC0415 - as above

    by_id = {str(entry["id"]): entry for entry in listed}
    for meter in meters:
        if meter.device_id not in by_id or meter.lan_id not in by_id:
            missing = f"the account of the app has no device {meter.device_id}"
            yield Comparison(meter, Update(), missing)
            continue
        product_id = str(by_id[meter.device_id]["product_id"])
        changed = product_id not in {"", meter.product_id}
        key = _new_key(meter, str(by_id[meter.lan_id]["key"]))
        yield Comparison(meter, Update(key, product_id if changed else None))


def _new_key(meter: Meter, listed: str) -> str | None:
    if meter.transport == "cloud" or len(listed) != LOCAL_KEY_LENGTH:
        return None
    return listed if listed != meter.local_key.get_secret_value() else None


def _write(source: Path, compared: Sequence[Comparison]) -> list[Path]:
    from esquirell.settings.writing import rewrite  # noqa: PLC0415 - it loads tomlkit

    updates = {
        comparison.meter.name: comparison.update for comparison in compared if comparison.changes
    }
    return rewrite(source, updates) if updates else []


def _write_added(state_dir: Path, compared: Sequence[Comparison]) -> list[Path]:
    """Write the files of meters that were added while the service ran."""
    from esquirell.settings.meter_files import MeterFiles  # noqa: PLC0415 - as above
    from esquirell.settings.state_files import StateDirectory  # noqa: PLC0415 - as above

    files = MeterFiles(StateDirectory(state_dir))
    written = []
    for comparison in compared:
        values = {
            "local_key": comparison.update.local_key,
            "product_id": comparison.update.product_id,
        }
        changes = {key: value for key, value in values.items() if value is not None}
        if changes:
            with files.alone():
                known = files.read(comparison.meter.name)
                written.append(files.put(comparison.meter.name, known | changes))
    return written


def _report(compared: Sequence[Comparison], files: Sequence[Path], *, quiet: bool) -> None:
    for comparison in compared:
        if comparison.error:
            complain(f"{comparison.meter.name}: {comparison.error}")
        elif not quiet:
            say(f"{comparison.meter.name}: {_changes_in_words(comparison)}")
    if files and not quiet:
        say(f"Written: {', '.join(str(path) for path in files)}")
        say(_RELOAD)


def _changes_in_words(comparison: Comparison) -> str:
    said = {
        "local_key": "new local key",
        "product_id": f"product_id {comparison.update.product_id}",
    }
    return " and ".join(said[change] for change in comparison.changes) or "up to date"
