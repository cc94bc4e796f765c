#!/bin/sh
# Tuya's product schemas give each datapoint a code and a unit; iobroker.tuya carries 10,003 of them.
#
# Guess: the code says what is measured, and the unit is one of that quantity.
# Seen: cur_voltage is counted in mAh, total_power in Wh (its Chinese name says energy used),
# electricity_total in A, voltage_current in %, temp_current in Hz and in %. Neither code nor unit
# alone can be trusted; where they contradict each other one has to look at a value.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const schemas = Object.values(require("./package/lib/schema.json")).map((one) => JSON.parse(one.schema));
const wanted = ["cur_voltage mAh", "total_power Wh", "electricity_total A", "voltage_current %",
  "temp_current Hz", "temp_current %"];
const counts = Object.fromEntries(wanted.map((name) => [name, 0]));
for (const point of schemas.flat()) {
  const name = point.code + " " + ((point.property || {}).unit || "").trim();
  if (name in counts) counts[name] += 1;
}
console.log(schemas.length, "schemas:", counts);
if (wanted.some((name) => counts[name] === 0)) process.exit(1);
'
