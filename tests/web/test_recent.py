"""What was drawn a moment ago is kept for the next request."""

import threading
from concurrent.futures import ThreadPoolExecutor

from support.waiting import LIMIT_S

from esquirell.web.recent import KEEP_S, MOST, Recent


def test_recent_pictures_are_reused() -> None:
    now, drawn = 0.0, []

    def look(key: str) -> int:
        def make() -> int:
            drawn.append(key)
            return len(drawn)

        return recent.get(key, make)

    recent: Recent[int] = Recent(lambda: now)
    assert [look("year"), look("year"), look("day"), look("year")] == [1, 1, 2, 1]
    now = KEEP_S
    assert look("year") == 3
    for number in range(MOST):
        look(f"{number}")
    # Of more than these the oldest is forgotten.
    assert look("year") == len(drawn) == 3 + MOST + 1


def test_simultaneous_equal_requests_are_computed_once() -> None:
    recent: Recent[str] = Recent()
    made, asked, go = list[int](), threading.Semaphore(0), threading.Event()

    def make() -> str:
        made.append(1)
        asked.release()
        assert go.wait(LIMIT_S)
        if len(made) == 1:
            raise ValueError("the first one fails")
        return "drawn"

    def ask() -> str:
        return recent.get("year", make)

    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(ask) for _ in range(4)]
        asked.acquire()
        go.set()
        # A request that came while it was made has its error, a later one another try.
        failed = [one.exception(LIMIT_S) is not None for one in first]
        again = [pool.submit(ask) for _ in range(4)]
        assert {one.result(LIMIT_S) for one in again} == {"drawn"}
    assert any(failed)
    assert len(made) == 2
