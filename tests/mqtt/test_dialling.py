import time

from esquirell.mqtt.dialling import Dialler
from esquirell.mqtt.link import Link
from esquirell.mqtt.options import Options


def test_an_attempt_says_how_long_its_connection_lasted() -> None:
    """Whoever was connected for long is let in at once again; others wait longer and longer."""
    dialler = Dialler(Options(), None, None, lambda: True)
    began = time.monotonic()
    attempt = dialler.dial(
        lambda options: Link(options, None, lambda _: None), lambda link, _options: (time.sleep(0.1), link.close(done=True))
    )
    assert 0.1 <= attempt.lasted_s <= time.monotonic() - began
