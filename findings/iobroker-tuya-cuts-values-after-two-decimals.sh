#!/bin/sh
# iobroker.tuya divides each number by ten to the power of its scale and keeps two decimals (main.js). Meters
# count currents in milliamperes and increments of energy in watt-hours: three decimals.
#
# Guess: 1895 with three decimals is rounded to 1.9 or kept as 1.895, and 29 with two decimals is 0.29.
# Seen: the rest is cut off. 1.895 A is 1.89 A, an increment of 9 Wh is nothing, and of 12 Wh a sixth is lost. As
# the number is multiplied by 0.01 and by 100 before it is cut, values that have two decimals lose a hundredth,
# too: 29 is 0.28, and so do 1,418 of the first 100,000 numbers, so that a counter in hundredths of a kWh repeats
# some values and leaves others out. -0.14 becomes -0.15.
# The line is run as it stands in the package, which needs an ioBroker around it to be run whole.
#
# Needs: npm and node.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const source = require("fs").readFileSync("./package/main.js", "utf-8");
const lines = new Set([...source.matchAll(/value = (.*-obj\.scale.*);/g)].map((found) => found[1]));
if (lines.size !== 1) { console.log("that line has changed:", [...lines]); process.exit(1); }
const shown = new Function("value", "scale", `const obj = {scale}; return ${[...lines][0]}`);
const cases = [[1895, 3], [9, 3], [12, 3], [29, 2], [-140, 3]];
const seen = cases.map(([value, scale]) => shown(value, scale));
let off = 0;
for (let value = 0; value < 100000; value++) if (Math.abs(shown(value, 2) - value / 100) > 0.001) off++;
console.log("1895, 9, 12 by 1000; 29 by 100; -140 by 1000:", seen.join(", "));
console.log("of the first 100,000 numbers with two decimals", off, "are a hundredth too small");
if (JSON.stringify([...seen, off]) !== process.argv[1]) { console.log("that is no longer so:", JSON.stringify([...seen, off])); process.exit(1); }
' '[1.89,0,0.01,0.28,-0.15,1418]'
