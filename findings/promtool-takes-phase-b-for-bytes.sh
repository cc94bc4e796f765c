#!/bin/sh
# promtool check metrics (Prometheus 2.42.0 as in Debian 12; the list of units in client_golang's promlint is the same today) splits a
# name at its underscores and looks each part up in a list of units.
#
# Guess: a meter's three phases are treated alike, kilowatts are no base unit, and kilowatt_hours, an energy, is to be joules.
# Seen: of grid_voltage_volts_a, _b and _c only _b is refused, as an abbreviated unit: b is for bytes there, as a part d, h, m or s is for
# another one. kilowatt_hours is to be "seconds" instead of "hours". Watts are not in the list at all: kilowatts and even w pass, and
# so do kwh and watthours. Who lets it gate a meter's exporter puts the phase into a label, and writes kwh.
#
# Needs: promtool on PATH (Debian: prometheus).
set -eu
command -v promtool >/dev/null || { echo "needs promtool"; exit 2; }
promtool --version 2>&1 | head -1
page() {
  for name in "$@"; do
    printf '# HELP %s A figure of a meter.\n# TYPE %s gauge\n%s 1\n' "$name" "$name" "$name"
  done
}
seen=$(page grid_voltage_volts_a grid_voltage_volts_b grid_voltage_volts_c grid_power_kilowatts grid_power_w \
  grid_energy_kilowatt_hours grid_energy_watthours grid_energy_kwh | promtool check metrics 2>&1 || true)
echo "$seen"
expected='grid_energy_kilowatt_hours use base unit "seconds" instead of "hours"
grid_voltage_volts_b metric names should not contain abbreviated units'
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
