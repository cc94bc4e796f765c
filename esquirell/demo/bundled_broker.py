"""The MQTT broker of the `iotcore` package as a process: it speaks MQTT 3.1.1 only."""

import logging
import sys

from iotcore import Broker

from esquirell.demo.plan import HOST

# Announcements to Home Assistant exceed iotcore's default of 20 KiB.
LARGEST_PAYLOAD = 4 * 1024 * 1024


def main() -> None:
    """Listen on the port that is the only argument until a signal ends the process."""
    logging.disable()  # it would log every packet
    Broker(int(sys.argv[1]), HOST, max_payload_size=LARGEST_PAYLOAD).run_forever()


if __name__ == "__main__":
    main()
