#!/bin/sh
# Home Assistant's recorder takes long-term statistics of an hour that it has not closed itself
# (recorder/import_statistics, here its function async_import_statistics).
#
# Guess: it replaces or merges that row when the hour is over; other sensors are not touched.
# Seen: the hour of EVERY sensor is lost. Its own row collides with the imported one, and all that it
# compiled for the hour is rolled back with it; the import alone is left.
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
    from homeassistant.components.recorder import get_instance, statistics, tasks
    from homeassistant.components.recorder.models import StatisticMetaData

    instance = get_instance(hass)

    async def settle() -> None:
        await hass.async_block_till_done()
        await instance.async_add_executor_job(instance.block_till_done)

    async def close(hour: datetime) -> None:
        """Let the hour come to its end: its twelve periods of five minutes are compiled."""
        for minute in range(0, 60, 5):
            start = hour + timedelta(minutes=minute)
            instance.queue_task(tasks.StatisticsTask(start, fire_events=False))
        await settle()

    def hours() -> dict[str, list[int]]:
        names = {"sensor.power", "sensor.energy"}
        found = statistics.statistics_during_period(
            hass, NOW, None, names, "hour", None, {"mean", "sum"}
        )
        start = NOW.timestamp()
        return {name: [round((row["start"] - start) / 3600) for row in found[name]] for name in sorted(names)}

    power = {"state_class": "measurement", "device_class": "power", "unit_of_measurement": "W"}
    energy = {"state_class": "total_increasing", "device_class": "energy", "unit_of_measurement": "kWh"}
    hass.states.async_set("sensor.power", "100", power)
    hass.states.async_set("sensor.energy", "1000", energy)
    await settle()
    await close(NOW + HOUR)
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
    statistics.async_import_statistics(
        hass, metadata, [{"start": NOW + 2 * HOUR, "state": 1000.0, "sum": 0.0}]
    )
    await settle()
    print("hour 2 was imported for sensor.energy before its end; then hours 2 and 3 came to theirs")
    await close(NOW + 2 * HOUR)
    await close(NOW + 3 * HOUR)
    seen = await instance.async_add_executor_job(hours)
    for name, found in seen.items():
        print(f"{name}: has hours {found}")
    await hass.async_stop(force=True)
    return 0 if seen == {"sensor.energy": [1, 2, 3], "sensor.power": [1, 3]} else 1


print(f"Home Assistant {__version__}, Python {sys.version.split()[0]}")
sys.exit(asyncio.run(main(sys.argv[1])))
PROBE
mkdir "$folder/config"
if timeout 120 "$folder/venv/bin/python" "$folder/probe.py" "$folder/config"; then
  echo "as seen: sensor.power, which nobody imported anything for, has lost hour 2"
else
  echo "CHANGED: this is no longer what Home Assistant does"
  exit 1
fi
