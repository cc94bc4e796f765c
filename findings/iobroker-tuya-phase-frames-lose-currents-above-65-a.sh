#!/bin/sh
# iobroker.tuya decodes the packed frames of a phase: voltage in two bytes, current and power in three
# each, and newer ones with a header and all values behind it (lib/enhanced_logic.js).
#
# Guess: every frame gives the current that the meter measured; of a frame that it does not know,
# nothing.
# Seen: the first byte of the current is left out, so 70 A are 4.464 A. A frame of 18 bytes that starts
# with 02 0F (230.1 V, 53.86 A) is read at places of another layout, as if it were known: 1971.2 V and
# 0 A.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tuya@3.18.2 >/dev/null
tar xzf iobroker.tuya-3.18.2.tgz
echo "iobroker.tuya $(node -p 'require("./package/package.json").version')"
node -e '
const logic = require("./package/lib/enhanced_logic.js");
const entries = Object.values(logic).flat().filter((one) => one && one.dpCode && one.dpCode.includes("phase_a"));
const states = entries.flatMap((one) => one.states || one.getStates && one.getStates() || []);
const of = (name) => states.find((one) => one.namePostfix === name).onDpSet;
const plain = Buffer.from("08fd" + "011170" + "003e80", "hex").toString("base64");
const headed = Buffer.from("020f08fd00d26400254c0000000000004d00", "hex").toString("base64");
const seen = ["-voltage", "-current"].flatMap((name) => [of(name)(plain), of(name)(headed)]);
console.log("70 A at 230.1 V:", seen[0], "V", seen[2], "A; frame with a header:", seen[1], "V", seen[3], "A");
if (JSON.stringify(seen) !== process.argv[1]) { console.log("that is no longer so:", JSON.stringify(seen)); process.exit(1); }
' '[230.1,0,4.464,0]'
