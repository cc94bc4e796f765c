#!/bin/sh
# Tuya's standard code for the energy that a device used is power_consumption; other codes for counters
# are forward_energy_total and electric_total. The schemas say how large each can become (max, scale).
#
# Guess: what is called a total has room for years.
# Seen: two thirds of the products with power_consumption in kWh have room for less than 1000 kWh, most of
# these for 5 kWh; electric_total in W·h has room for 10 kWh, and one forward_energy_total for 655 kWh.
# These are counters of a day, or their unit is wrong: as a total they would seem to restart each night.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const points = Object.values(require("./package/lib/schema.json")).flatMap((one) => JSON.parse(one.schema));
const letters = (unit) => (unit || "").toLowerCase().replace(/[^a-z]/g, "");
const room = (point) => {
  const { max, scale, unit } = point.property;
  return max / 10 ** (scale || 0) / (letters(unit) === "wh" ? 1000 : 1);
};
const of = (code, unit) => points.filter((one) => one.code === code && letters(one.property.unit) === unit).map(room);
const used = of("power_consumption", "kwh"), small = used.filter((kwh) => kwh < 1000);
const watts = of("electric_total", "wh"), least = Math.min(...of("forward_energy_total", "kwh"));
console.log("power_consumption:", small.length, "of", used.length, "below 1000 kWh,", small.filter((kwh) => kwh === 5).length, "with 5 kWh");
console.log("electric_total in W·h:", Math.max(...watts), "kWh; smallest forward_energy_total:", least, "kWh");
if (small.length * 2 < used.length || Math.max(...watts) > 11 || least > 700) process.exit(1);
'
