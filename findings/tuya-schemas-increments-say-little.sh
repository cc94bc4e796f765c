#!/bin/sh
# Tuya's standard code add_ele holds the energy since the last report. The schemas of its products say its
# unit, its scale, how large it can become and whether it can be written.
#
# Guess: it is read only, in kWh, and has room for some kilowatt-hours.
# Seen: half of the 785 products name no unit, and two in five let it be written, though nobody can set what
# was used. All have two or three decimals, nearly all three. One in eight has room for 1,000 kWh and more:
# these count on, and are a total under the name of an increment.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const products = Object.values(require("./package/lib/schema.json")).map((one) => JSON.parse(one.schema));
const added = products.flatMap((one) => one.filter((point) => point.code === "add_ele"));
const count = (found) => added.filter(found).length;
const unitless = count((one) => !one.property.unit);
const writable = count((one) => one.mode === "rw");
const three = count((one) => one.property.scale === 3), two = count((one) => one.property.scale === 2);
const large = count((one) => one.property.max / 10 ** one.property.scale >= 1000);
console.log(added.length, "products:", unitless, "without a unit,", writable, "writable,", large, "with room for 1,000 kWh");
console.log("decimals: three", three + ", two", two);
if (unitless < 300 || writable < 250 || three + two !== added.length || large < 80) process.exit(1);
'
