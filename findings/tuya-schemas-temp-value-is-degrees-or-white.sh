#!/bin/sh
# Tuya's product schemas give each datapoint a code and a unit; iobroker.tuya carries 10,003 of them.
#
# Guess: temp_value is how warm a lamp's white is, as in Tuya's standard set for lamps.
# Seen: so it is in 1,807 schemas, all without a unit and beside bright_value or work_mode, 32 of
# which meter as well; in 22 without a lamp, 20 of them meters, it is a temperature in degrees
# Celsius. Only the unit tells a metering lamp's white from a breaker's heat.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const schemas = Object.values(require("./package/lib/schema.json")).map((one) => JSON.parse(one.schema));
const counts = {};
for (const schema of schemas) {
  const has = (pattern) => schema.some((point) => pattern.test(point.code));
  for (const point of schema.filter((one) => one.code === "temp_value")) {
    const unit = ((point.property || {}).unit || "").trim() || "no unit";
    const lamp = has(/^(bright_value|colour_data|work_mode)/) ? "lamp" : "no lamp";
    const meter = has(/^(cur_power|add_ele|total_forward)/) ? "meter" : "no meter";
    const kind = [unit, lamp, meter].join(", ");
    counts[kind] = (counts[kind] || 0) + 1;
  }
}
console.log(schemas.length, "schemas:", counts);
const expected = { "no unit, lamp, meter": 32, "℃, no lamp, meter": 20 };
for (const [kind, count] of Object.entries(expected)) if (counts[kind] !== count) process.exit(1);
if (counts["℃, lamp, meter"] || counts["℃, lamp, no meter"]) process.exit(1);
'
