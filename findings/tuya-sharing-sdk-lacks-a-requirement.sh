#!/usr/bin/env bash
# tuya-device-sharing-sdk 0.2.15: does it work as pip installs it?
#
# Guess: yes; it is what Home Assistant's Tuya integration names as its only requirement.
# Seen: it imports cryptography, which neither it nor paho-mqtt nor requests require, so that importing it
# raises ModuleNotFoundError. Home Assistant does not notice, as it brings cryptography for itself.
#
# Needs python3 with pip and access to PyPI; everything goes into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip --quiet install "tuya-device-sharing-sdk==0.2.15"
env/bin/pip list --format=freeze
if env/bin/python -c "import tuya_sharing" 2>said; then
    echo "it can be imported" && exit 1
fi
tail -n 1 said
grep -q "No module named 'cryptography'" said
