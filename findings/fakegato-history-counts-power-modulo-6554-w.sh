#!/bin/sh
# fakegato-history 0.6.7 keeps the history that Apple's users see of a plug or a meter in the Eve app, for
# Homebridge's plugins. A power is sent in two bytes, in tenths of a watt.
#
# Guess: what does not fit, a stove's 7 kW or the -300 W of a balcony's panels, is held at the highest or lowest
# value, or left out.
# Seen: it is cut to its lower two bytes. 7000 W are drawn as 446.4 W, the 11 kW of a wallbox as 4446.4 W, and
# the 300 W that are fed in as a use of 6253.6 W. The app sums this curve up to the energy that it shows.
#
# Needs: npm and node 20 or newer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund fakegato-history@0.6.7 @homebridge/hap-nodejs@2.1.7 >/dev/null
echo "fakegato-history $(node -p 'require("./node_modules/fakegato-history/package.json").version')"
cat > probe.cjs <<'PROBE'
const hap = require("@homebridge/hap-nodejs");
const History = require("fakegato-history")({hap, user: {storagePath: () => "."}});

const powers = [100, 6553.5, 7000, 11000, -300];
const meter = new hap.Accessory("Meter", hap.uuid.generate("meter"));
const history = new History("energy", meter, {disableTimer: true, log: {debug() {}}});
powers.forEach((power, at) => history.addEntry({time: 1764547200 + 600 * at, power}));

const of = (start) => meter.services.flatMap((one) => one.characteristics).find((one) => one.UUID.startsWith(start));
const from = Buffer.alloc(6).toString("base64");
of("E863F11C").emit("set", from, () => {});
of("E863F117").emit("get", (error, text) => {
  const bytes = Buffer.from(text, "base64"), seen = [];
  for (let at = 0; at < bytes.length; at += bytes[at]) if (bytes[at] === 0x14) seen.push(bytes.readUInt16LE(at + 14) / 10);
  powers.forEach((power, at) => console.log(power, "W is read back as", seen[at], "W"));
  if (JSON.stringify(seen) !== process.argv[2]) { console.log("this has changed:", JSON.stringify(seen)); process.exit(1); }
});
PROBE
node probe.cjs '[100,6553.5,446.4,4446.4,6253.6]'
