#!/bin/sh
# A statistic is kept in one unit, and its sensor may show another one.
#
# Guess: statistics_during_period returns figures in the unit of the metadata, in which an import has
# to be (statistics_unit_of_measurement).
# Seen: they come in the unit that the sensor shows at the moment; without a state of the sensor, in that
# of the metadata. What is read and written back is wrong by the factor. "units" in the question helps.
#
# Python 3.14 gets Home Assistant 2026.11.0, 3.13 gets 2025.4.4, 3.12 gets 2024.11.3.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python=
for pair in 3.14:2026.11.0 3.13:2025.4.4 3.12:2024.11.3; do
  name=python${pair%%:*}
  # pyenv's stand-ins are on the PATH even where their version is not the one in use.
  for python in "$name" "$HOME/.pyenv/versions/${pair%%:*}".*/bin/"$name" ""; do
    [ -n "$python" ] && "$python" -c '' 2>/dev/null && break 2
  done
done
[ -n "$python" ] || { echo "needs Python 3.12, 3.13 or 3.14"; exit 2; }
"$python" -m venv "$folder/venv"
env -u PIP_FIND_LINKS "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --prefer-binary "homeassistant==${pair#*:}" "josepy<2"
constraints=$(ls "$folder"/venv/lib/python*/site-packages/homeassistant/package_constraints.txt)
manifests=${constraints%/*}/components
"$folder/venv/bin/python" -c '
import json, sys
for name in ("recorder", "sensor"):
    print(*json.load(open(f"{sys.argv[1]}/{name}/manifest.json")).get("requirements", ()), sep="\n")
' "$manifests" > "$folder/requirements.txt"
env -u PIP_FIND_LINKS "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --prefer-binary -c "$constraints" -r "$folder/requirements.txt"

cat > "$folder/probe.py" <<'PROBE'
import asyncio
import logging
import sys
from datetime import UTC, datetime, timedelta

from homeassistant import bootstrap, config_entries, loader
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import recorder
from homeassistant.setup import async_setup_component

logging.disable(logging.CRITICAL)
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def started(folder: str) -> HomeAssistant:
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    loader.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    recorder.async_initialize_recorder(hass)
    database = {"db_url": f"sqlite:///{folder}/recorder.db", "commit_interval": 0}
    assert await async_setup_component(hass, "recorder", {"recorder": database})
    assert await async_setup_component(hass, "sensor", {})
    await hass.async_start()
    return hass


async def main(folder: str) -> int:
    hass = await started(folder)
    from homeassistant.components.recorder import get_instance, statistics
    from homeassistant.components.recorder.models import StatisticMetaData

    instance = get_instance(hass)
    metadata = {
        "has_mean": False,
        "mean_type": 0,
        "has_sum": True,
        "name": None,
        "source": "recorder",
        "statistic_id": "sensor.energy",
        "unit_class": "energy",
        "unit_of_measurement": "kWh",
    }
    # Releases differ in what they know of a statistic.
    metadata = {key: metadata[key] for key in metadata.keys() & StatisticMetaData.__annotations__.keys()}

    async def put(*rows: tuple[int, float, float]) -> None:
        """Import hours: how long ago each is, the counter's state and its sum."""
        stats = [{"start": NOW - ago * HOUR, "state": state, "sum": total} for ago, state, total in rows]
        statistics.async_import_statistics(hass, metadata, stats)
        await hass.async_block_till_done()
        await instance.async_add_executor_job(instance.block_till_done)

    async def read(units: dict[str, str] | None = None) -> float:
        found = await instance.async_add_executor_job(
            lambda: statistics.statistics_during_period(
                hass, NOW - 9 * HOUR, None, {"sensor.energy"}, "hour", units, {"sum"}
            )
        )
        return found["sensor.energy"][-1]["sum"]

    await put((1, 1003.0, 3.0))
    seen = {"no state of the sensor": await read()}
    shows = {"state_class": "total_increasing", "device_class": "energy", "unit_of_measurement": "MWh"}
    hass.states.async_set("sensor.energy", "1.003", shows)
    await hass.async_block_till_done()
    seen["the sensor shows MWh"] = await read()
    seen["the same, asked for kWh"] = await read({"energy": "kWh"})
    print("a sum of 3 that is kept in kWh is read as:")
    for case, figure in seen.items():
        print(f"  {figure:<6} {case}")
    await hass.async_stop(force=True)
    return 0 if list(seen.values()) == [3.0, 0.003, 3.0] else 1


print(f"Home Assistant {__version__}, Python {sys.version.split()[0]}")
sys.exit(asyncio.run(main(sys.argv[1])))
PROBE
mkdir "$folder/config"
if timeout 120 "$folder/venv/bin/python" "$folder/probe.py" "$folder/config"; then
  echo "as seen: without units in the question the figure depends on what the sensor shows"
else
  echo "CHANGED: this is no longer what Home Assistant does"
  exit 1
fi
