"""Problems of the service, as the pages of meters show them."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from support.page_house import running_house
from support.waiting import eventually

from esquirell.web.overview import House
from esquirell.web.places import shape_of
from esquirell.web.problems import LOOKED_UP_EVERY_S, Problems

AWAY = "Redis does not answer"


class AtOnce(Executor):
    """Run work at once."""

    def submit(self, work: Callable[..., Any], /, *_: Any, **__: Any) -> "Future[Any]":  # noqa: ANN401 - an executor's
        work()
        return Future()


class Service:
    """A service whose problems are looked up."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.looked = self.told = 0
        self.is_broken = False
        self.problems: list[str] = []
        self.shown = Problems(self.find, AtOnce(), self.tell, lambda: self.now_s)

    def find(self) -> list[str]:
        self.looked += 1
        if self.is_broken:
            raise RuntimeError("an answer nobody expected")
        return list(self.problems)

    def tell(self) -> None:
        self.told += 1

    def later(self) -> list[str]:
        self.now_s += LOOKED_UP_EVERY_S
        self.shown.known()
        return list(self.shown.known())


def test_a_problem_that_lasts_is_shown_until_it_is_gone() -> None:
    service = Service()
    assert list(service.shown.known()) == []
    service.problems = [AWAY]
    assert service.later() == []
    assert service.later() == [AWAY]
    assert service.later() == [AWAY]
    service.problems = []
    assert service.later() == []
    assert service.told == 2


def test_a_part_that_is_just_starting_is_no_problem() -> None:
    service = Service()
    service.problems = ["no scheduler is running"]
    assert service.later() == []
    service.problems = []
    assert service.later() == []
    assert service.told == 0


def test_a_problem_whose_number_changes_lasts() -> None:
    service = Service()
    for waiting in (3, 12, 1.5):
        service.problems = [f"{waiting} readings wait for the database"]
        shown = service.later()
    assert shown == ["1.5 readings wait for the database"]
    assert service.told == 1
    other, same, gone = (shape_of(House((), problems=one)) for one in ([AWAY], shown, []))
    assert shape_of(House((), problems=["7 readings wait for the database"])) == same
    assert len({other, same, gone}) == 3


def test_a_look_that_fails_is_logged_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.problems = [AWAY]
    service.later()
    service.later()
    for _ in range(2):
        service.is_broken = True
        assert service.later() == [AWAY]
        assert service.later() == [AWAY]
        service.is_broken = False
        assert service.later() == [AWAY]
    failed = "the problems of the service could not be looked up"
    assert [one.getMessage() for one in caplog.records] == [failed, failed]
    assert "an answer nobody expected" in caplog.text


def test_it_is_looked_up_only_now_and_then() -> None:
    service = Service()
    for _ in range(50):
        service.shown.known()
    assert service.looked == 1


def test_now_says_what_keeps_the_meters_from_being_read(tmp_path: Path) -> None:
    with running_house(tmp_path) as house:
        browser = house.browser()
        assert "Redis" not in browser.get("/").words
        house.redis.stop()
        eventually(lambda: f"{AWAY} (" in browser.get("/").words, what="Now says it")
        assert f"{AWAY} (" in browser.get("/meters").words
        services = browser.get("/system").words.partition("Services")[2].partition("Backup")[0]
        assert (services.count("unknown"), services.count("not running")) == (3, 0), services
        run = {"command": "schedule/run", "place": "fetch", "name": "fetch"}
        assert f"Refused: {AWAY} (" in browser.post("/schedules", run).words
