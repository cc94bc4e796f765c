#!/bin/sh
# What Home Assistant shows as the energy of an hour is the difference of two sums. Of the first hour of
# a statistic there is no sum before.
#
# Guess: the first hour has no energy, so that older hours can be put before it with sums below zero.
# Seen: the sum of the first hour itself is its energy. A past that is imported with sums from -100 to 0
# shows an hour in which 100 kWh were given back; the hours after it are right.
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

    async def energies() -> dict[int, float]:
        found = await instance.async_add_executor_job(
            lambda: statistics.statistics_during_period(
                hass, NOW - 9 * HOUR, None, {"sensor.energy"}, "hour", None, {"change"}
            )
        )
        rows = found["sensor.energy"]
        return {round((NOW.timestamp() - row["start"]) / 3600): row["change"] for row in rows}

    await put((3, 1000.0, 0.0), (2, 1001.0, 1.0), (1, 1003.0, 3.0))
    known = await energies()
    print(f"kWh by hours ago, as Home Assistant began: {known}")
    await put((6, 900.0, -100.0), (5, 950.0, -50.0), (4, 990.0, -10.0))
    longer = await energies()
    print(f"with its past before it, from -100 kWh:    {longer}")
    await hass.async_stop(force=True)
    right = {5: 50.0, 4: 40.0, 3: 10.0, 2: 1.0, 1: 2.0}
    return 0 if (known, longer) == ({3: 0.0, 2: 1.0, 1: 2.0}, {6: -100.0} | right) else 1


print(f"Home Assistant {__version__}, Python {sys.version.split()[0]}")
sys.exit(asyncio.run(main(sys.argv[1])))
PROBE
mkdir "$folder/config"
if timeout 120 "$folder/venv/bin/python" "$folder/probe.py" "$folder/config"; then
  echo "as seen: the first hour of the past shows -100 kWh"
else
  echo "CHANGED: this is no longer what Home Assistant does"
  exit 1
fi
