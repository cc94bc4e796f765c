"""Where the device of a meter is that can't be read at the address in its settings."""

import ipaddress
from functools import partial

from esquirell.domain.errors import MeterError
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.discovery.finder import MOVED, Finder, RunInThread, Script
from esquirell.tuya.errors import has_moved, is_displaced


def explained(
    finder: Finder, run_in_thread: RunInThread, question: Question, error: MeterError
) -> Script[MeterError]:
    """Return what announcements tell of a failed read, or `error` if they tell nothing.

    A router that hands out addresses anew can give a meter's to another device, which refuses the
    key. Only who asks for one meter waits for that, not a poll.
    """
    meter = question.meter
    if not question.forced or error.code not in MOVED or not _announces_itself(meter.address):
        return error
    heard = yield from run_in_thread(partial(finder.hear, meter))
    if heard is None:
        return error
    if heard.device_id != meter.lan_id:
        return is_displaced(meter)
    return error if heard.address == meter.address else has_moved(meter, heard.address)


def _announces_itself(address: str) -> bool:
    """Whether a device at this address can be heard: not on this machine, nor by a name."""
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False
