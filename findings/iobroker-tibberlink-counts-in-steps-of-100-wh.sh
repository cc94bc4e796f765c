#!/bin/sh
# A Pulse passes on what its meter sends: SML, or the readable lines of IEC 62056-21, for which kilowatt-hours have
# three to seven decimals. iobroker.tibberlink 7.3.0 reads both.
#
# Guess: a counter with 1234.567 kWh is 1234.567 in both.
# Seen: in the readable form every number is rounded to one decimal, whatever its unit: the counter is 1234.6 kWh and
# moves once in 100 Wh, for a house at night once in half an hour. In SML the same counter moves with each
# watt-hour. An hour's use that is taken from it is up to 0.1 kWh off.
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

const seen = [1234567, 1234599, 1234649].map((wattHours) => {
  const line = `1-0:1.8.0*255(${(wattHours / 1000).toFixed(7)}*kWh)\r\n`;
  reader.extractAndParseAsciiMessages(0, Buffer.from(line).toString("hex"));
  const readable = shown;
  const tenths = (wattHours * 10).toString(16).padStart(8, "0");
  reader.extractAndParseSMLMessages(0, `77070100010800ff0101621e52ff65${tenths}0177`);
  console.log(`${wattHours} Wh: ${readable} kWh from the readable line, ${shown} kWh from SML`);
  return [readable, shown];
});
if (JSON.stringify(seen) !== process.argv[2]) { console.log("this has changed:", JSON.stringify(seen)); process.exit(1); }
PROBE
node probe.cjs '[[1234.6,1234.567],[1234.6,1234.599],[1234.6,1234.649]]'
