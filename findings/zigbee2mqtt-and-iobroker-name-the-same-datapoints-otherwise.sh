#!/bin/sh
# A meter's datapoints have the same ids over Zigbee and WiFi. zigbee2mqtt describes them by hand
# (zigbee-herdsman-converters), iobroker.tuya carries the makers' own schemas.
#
# Guess: where both know a product's ids, they mean the same quantity by them.
# Seen: of the meter with two clamps on one voltage (2CT; jbarpbsikxovmxeg) the maker calls datapoint 103
# power_apparent, 104 power_current, both in W, and 102 current_max. zigbee2mqtt reads the powers of clamps a
# and b, and the current of b. Voltage x current x power factor says that zigbee2mqtt is right: who believes
# the maker shows an apparent power that is one clamp's active power. Of the SPM02 datapoint 15 is called
# leakage_current, and in the maker's own language power factor.
#
# Needs: npm and node 20 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund zigbee-herdsman-converters@26.112.0 >/dev/null
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
cat > probe.mjs <<'PROBE'
import {readFileSync} from "node:fs";
import {definitions} from "zigbee-herdsman-converters/devices/tuya";

const version = (path) => JSON.parse(readFileSync(path)).version;
console.log("zigbee-herdsman-converters", version("node_modules/zigbee-herdsman-converters/package.json"));
console.log("iobroker.tuya", version("package/package.json"));
const schemas = JSON.parse(readFileSync("package/lib/schema.json"));
const byHand = (maker) => Object.fromEntries(
  definitions.find((one) => (one.fingerprint ?? []).some((print) => print.manufacturerName === maker))
    .meta.tuyaDatapoints.map(([id, name]) => [id, name]));
const byMaker = (product) => Object.fromEntries(
  JSON.parse(schemas[product].schema).map((point) => [point.id, point]));

const seen = [];
for (const [maker, product, ids] of [["_TZE204_dhotiauw", "jbarpbsikxovmxeg", [102, 103, 104]], ["_TZE204_v9hkz2yn", "v9hkz2yn", [15]]]) {
  const hand = byHand(maker), own = byMaker(product);
  for (const id of ids) {
    seen.push([id, hand[id], own[id].code]);
    console.log(`${product}, datapoint ${id}: ${hand[id]} for zigbee2mqtt, ${own[id].code} (${own[id].name}) for its maker`);
  }
}
if (JSON.stringify(seen) !== process.argv[2]) { console.log("this has changed:", JSON.stringify(seen)); process.exit(1); }
PROBE
node probe.mjs '[[102,"current_b","current_max"],[103,"power_a","power_apparent"],[104,"power_b","power_current"],[15,"power_factor","leakage_current"]]'
