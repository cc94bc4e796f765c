#!/bin/sh
# Tuya's meters pack a phase into eight bytes: voltage in two, current and power in three each. Power that
# flows back is written in several ways: with the highest bit as a sign, as a distance below 0x99999A, or as
# two's complement. zigbee2mqtt's converters (zigbee-herdsman-converters, lib/tuya) decode these frames.
#
# Guess: the converters agree: of 230.1 V, 5 A and 1100 W that flow back each gives -1100 W, or no power
# where it does not know the way.
# Seen: four converters for one frame, and each gives a number for each way. The sign bit is 1100 W consumed,
# 1.7 megawatts fed in, or 8.4 megawatts consumed; two's complement is none of the three as well. Only the
# distance below 0x99999A is understood, by one of them. So the same meter under another name of its maker
# has another power, and a chart with one such value in it shows nothing else.
#
# Needs: npm and node 20 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund zigbee-herdsman-converters@26.112.0 >/dev/null
echo "zigbee-herdsman-converters $(node -p 'require("./node_modules/zigbee-herdsman-converters/package.json").version')"
cat > probe.mjs <<'PROBE'
import * as tuya from "zigbee-herdsman-converters/lib/tuya";

const ways = {"sign bit": "80044c", "below 0x99999A": "99954e", "two's complement": "fffbb4"};
const converters = tuya.valueConverter;
const seen = {};
for (const [way, power] of Object.entries(ways)) {
  const frame = Buffer.from("08fd" + "001388" + power, "hex");
  seen[way] = [
    converters.phaseVariant2.from(frame.toString("base64")).power,
    converters.phaseVariant2WithPhase("a").from(frame.toString("base64")).power_a,
    converters.phaseVariant3.from(frame.toString("base64")).power,
    converters.phaseVariant4.from(frame).power,
  ];
  console.log(`${way}, 1100 W back:`, seen[way].join(" W, "), "W");
}
const expected = process.argv[2];
if (JSON.stringify(Object.values(seen)) !== expected) { console.log("this has changed:", JSON.stringify(Object.values(seen))); process.exit(1); }
PROBE
node probe.mjs '[[1100,-1676622,8389708,8389708],[38222,-1100,10065230,10065230],[64436,6709786,16776116,16776116]]'
