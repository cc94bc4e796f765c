#!/bin/sh
# EV chargers of Tuya's category qccdz have a standard code for the power of one phase, and one for the total.
#
# Guess: a charger of one phase has the first, a charger of three phases the second.
# Seen: eleven of the twelve products that have the first have both, in the same unit and scale, and six of them
# have three phases. The code of the first is misspelt, sigle_phase_power, in all of them, so that nobody who
# looks for single_phase_power finds it. Which of both is the device's power only a load on the phases shows.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const products = Object.values(require("./package/lib/schema.json")).map((one) => JSON.parse(one.schema));
const having = (...codes) => products.filter((one) => codes.every((code) => one.some((point) => point.code === code)));
const first = having("sigle_phase_power"), both = having("sigle_phase_power", "power_total");
const three = having("sigle_phase_power", "power_total", "phase_b", "phase_c");
const scale = (one, code) => one.filter((point) => point.code === code).map((point) => point.property.unit + point.property.scale)[0];
const alike = both.filter((one) => scale(one, "sigle_phase_power") === scale(one, "power_total"));
console.log(first.length, "with sigle_phase_power,", having("single_phase_power").length, "with single_phase_power");
console.log(both.length, "of them with power_total,", alike.length, "in the same unit and scale,", three.length, "of three phases");
if (first.length !== 12 || having("single_phase_power").length || both.length !== 11 || alike.length !== 11 || three.length !== 6) process.exit(1);
'
