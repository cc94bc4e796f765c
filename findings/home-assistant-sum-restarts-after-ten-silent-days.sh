#!/bin/sh
# Home Assistant keeps the hours of a counter for ever, and its five-minute statistics for ten days
# (`purge_keep_days`). Of a counter that was unavailable for longer none of the latter is left.
#
# Guess: its running sum goes on from the last hour, and the hour of its return has the energy since.
# Seen: the sum begins again at zero. The hour of the return shows what the sum was before as energy
# given back: -49 kWh in place of 11, and with a meter that had counted for a year, thousands.
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
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
COUNTER = {"device_class": "energy", "state_class": "total_increasing", "unit_of_measurement": "kWh"}


async def started(folder: str) -> HomeAssistant:
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    loader.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    recorder.async_initialize_recorder(hass)
    database = {"db_url": f"sqlite:///{folder}/recorder.db", "commit_interval": 0, "auto_purge": False}
    assert await async_setup_component(hass, "recorder", {"recorder": database})
    assert await async_setup_component(hass, "sensor", {})
    await hass.async_start()
    return hass


async def main(folder: str) -> int:
    hass = await started(folder)
    from homeassistant.components.recorder import get_instance, statistics
    from homeassistant.components.recorder.tasks import StatisticsTask

    instance = get_instance(hass)

    async def settled() -> None:
        await hass.async_block_till_done()
        await instance.async_add_executor_job(instance.block_till_done)

    async def hour(entity: str, start: datetime, *states: str) -> None:
        """Record one state each twenty minutes, and work the statistics of the hour up."""
        for number, state in enumerate(states):
            moment = start + (20 * number + 1) * MINUTE
            attributes = COUNTER if state != "unavailable" else {}
            hass.states.async_set(entity, state, attributes, timestamp=moment.timestamp())
        await settled()
        for number in range(12):
            instance.queue_task(StatisticsTask(start + 5 * number * MINUTE, False))
        await settled()

    async def energy_of_return(entity: str, days: int) -> float:
        gone = NOW - timedelta(days=days)
        await hour(entity, gone - HOUR, "100", "120", "150")
        await hour(entity, gone, "150", "unavailable")
        await hass.services.async_call("recorder", "purge", {"keep_days": 10}, blocking=True)
        await settled()
        # Home Assistant works each hour up once.
        await hour(entity, NOW - (days - 7) * HOUR, "160", "160", "161")
        found = await instance.async_add_executor_job(
            lambda: statistics.statistics_during_period(
                hass, gone - 2 * HOUR, None, {entity}, "hour", None, {"change"}
            )
        )
        return found[entity][-1]["change"]

    seen = {days: await energy_of_return(f"sensor.after_{days}_days", days) for days in (9, 12)}
    print(f"kWh of the hour of return, by days of silence: {seen}")
    await hass.async_stop(force=True)
    return 0 if seen == {9: 11.0, 12: -49.0} else 1


print(f"Home Assistant {__version__}, Python {sys.version.split()[0]}")
sys.exit(asyncio.run(main(sys.argv[1])))
PROBE
mkdir "$folder/config"
if timeout 120 "$folder/venv/bin/python" "$folder/probe.py" "$folder/config"; then
  echo "as seen: after ten days of silence the hour of return is negative"
else
  echo "CHANGED: this is no longer what Home Assistant does"
  exit 1
fi
