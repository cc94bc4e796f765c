#!/bin/sh
# German meters send SML: each number says whether it has a sign (types 52 to 59) or not (62 to 69), and in how many
# bytes it is. iobroker.tibberlink 7.3.0 reads it from a Tibber Pulse on the local network.
#
# Guess: 200 W in one unsigned byte and 4000.0 W in two are read as they are in four.
# Seen: the type is found and then not looked at. All numbers but the counter of the export have a sign there, so
# that an unsigned one of more than half its range is negative: 200 W are -56 W, and 4000 W are -2553.6 W. A
# house seems to feed in when it uses most.
#
# Needs: npm and node 20 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent iobroker.tibberlink@7.3.0 >/dev/null
tar xzf iobroker.tibberlink-7.3.0.tgz
npm init -y >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund axios@1.12.2 date-fns@4.1.0 >/dev/null
echo "iobroker.tibberlink $(node -p 'require("./package/package.json").version')"
cat > probe.cjs <<'PROBE'
const {TibberLocal} = require("./package/build/lib/tibberLocal.js");

const log = {debug() {}, info() {}, error: console.log};
const reader = new TibberLocal({config: {PulseList: [{puName: "Pulse"}]}, log});
let shown;
reader.checkAndSetValueNumber = async (name, value) => { shown = value; };
// One entry of a list: 1-0:16.7.0, no status and no time, watts, the scaler, the value, no signature.
const entry = (scaler, value) => "7707" + "0100100700ff" + "0101" + "621b" + "52" + scaler + value + "01" + "77";

const seen = [
  ["200 W, four bytes", "00", "65000000c8"],
  ["200 W, one byte", "00", "62c8"],
  ["4000.0 W, four bytes", "ff", "6500009c40"],
  ["4000.0 W, two bytes", "ff", "639c40"],
  ["-200 W, two bytes with a sign", "00", "53ff38"],
].map(([name, scaler, value]) => {
  reader.extractAndParseSMLMessages(0, entry(scaler, value));
  console.log(`${name}: ${shown} W`);
  return shown;
});
if (JSON.stringify(seen) !== process.argv[2]) { console.log("this has changed:", JSON.stringify(seen)); process.exit(1); }
PROBE
node probe.cjs '[200,-56,4000,-2553.6,-200]'
