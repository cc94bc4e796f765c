import time

from esquirell.mqtt.dialling import Dialler
from esquirell.mqtt.link import Link
from esquirell.mqtt.options import Options


def test_an_attempt_says_how_long_its_connection_lasted() -> None:
    """Whoever was connected for long is let in at once again; others wait longer and longer."""

    def serve(link: Link, _options: Options) -> None:
        time.sleep(0.1)
        link.close(done=True)

    began = time.monotonic()
    dialler = Dialler(Options(), None, None, lambda: True)
    attempt = dialler.dial(lambda options: Link(options, None, lambda _: None), serve)
    assert 0.1 <= attempt.lasted_s <= time.monotonic() - began
