"""What the pages show and do: against a running service."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from support.cli import esquirell_process
from support.page import Browser, Reply
from support.page_house import House
from support.waiting import eventually

from esquirell.web.formats import MINUS

WAY = re.compile(r'data-follow="([^"]+)"')


def followed(browser: Browser, text: str) -> str:
    """Wait for the end of a command that was accepted; return what is shown of its way."""
    found = WAY.search(text)
    assert found, text

    def ended() -> str:
        reply = browser.get(found[1])
        return reply.words if "data-ended" in reply.text else ""

    return eventually(ended, what="the command ends")


def test_now_shows_each_meter_and_the_house(house: House) -> None:
    browser = house.browser()
    eventually(lambda: "offline" in browser.get("/").words, what="the silent one is offline")
    words = browser.get("/").words
    assert "Whole house" in words
    assert "Main" in words
    assert "hung" in words
    assert f"{MINUS}484 W" in words
    assert "exporting to the grid" in words
    assert "without 1 meter that is offline" in words
    assert "Cellar" in words


def test_no_proxy_is_to_collect_or_compress_a_stream(house: House) -> None:
    for path in ("/live", "/api/v1/events"):
        reply = house.browser().ask("HEAD", path, headers={"Accept-Encoding": "gzip"})
        assert reply.headers["Cache-Control"] == "no-store, no-transform"
        assert reply.headers["X-Accel-Buffering"] == "no"
    with house.browser().events("/live", Accept_Encoding="gzip") as events:
        assert "main.power" in next(events)


def test_readings_are_live_within_a_second(house: House) -> None:
    browser = house.browser()
    with browser.events("/live") as events:
        first = next(events)
        assert first["main.power"].startswith(f"{MINUS}484")
        assert "total:power" in first
        ages = []
        for news in events:
            if age := news.get("main.age"):
                ages.append(time.time() - datetime.fromisoformat(age).timestamp())
            if len(ages) == 3:
                break
    assert min(ages) < 1.0


def test_the_page_of_a_meter_is_live_too(house: House) -> None:
    browser = house.browser()
    page = browser.get("/meters/main").text
    with browser.events("/meters/main/live") as events:
        first = next(events)
        assert f'data-shape="{first["page:shape"]}"' in page
        assert first["main:energy_import"] == "1,064.21"
        assert all(f'data-place="{place}"' in page for place in first if place.startswith("main:"))
        assert not any(place.startswith(("hung", "total")) for place in first)
        later = next(news for news in events if "main.age" in news)
        assert later["main.age"] > first["main.age"]
    assert browser.get("/meters/nobody/live").status == 404


def test_a_meter_is_read_and_its_way_is_shown(house: House) -> None:
    browser = house.browser()
    reply = browser.post("/meters/main", {"command": "fetch", "place": "meter"})
    assert reply.status == 200
    words = followed(browser, reply.text)
    assert "Accepted" in words
    assert "main: read" in words


def test_a_meter_that_does_not_answer_says_why(house: House) -> None:
    browser = house.browser()
    reply = browser.post("/meters/hung", {"command": "meter/test", "place": "meter"})
    words = followed(browser, reply.text)
    assert "Failed" in words
    assert "hung" in words


def test_a_test_shows_values_in_words(house: House) -> None:
    browser = house.browser()
    reply = browser.post("/meters/main", {"command": "meter/test", "place": "meter"})
    words = followed(browser, reply.text)
    assert "The meter answers" in words
    assert "Energy imported kWh" in words
    assert "1,064.21" in words
    assert "phase A" in words


def test_a_schedule_from_its_first_day_to_its_last(house: House) -> None:
    browser = house.browser()
    fields = {
        "command": "schedule/add",
        "place": "new.",
        "name": "night",
        "task": "fetch_and_save_energy_data",
        "rule": "cron",
        "cron": "*/5 22-23 * * mon-fri",
        "meters": ["main"],
    }
    added = browser.post("/schedules", fields)
    assert added.status == 200
    assert "Added" in added.words
    assert "Every 5 minutes in the hours 22 and 23 on weekdays" in added.words
    # There is nothing in the configuration file that it could be reset to.
    assert "night custom" in added.words
    assert "Reset to the configuration file" not in added.words
    assert added.text.count("<li><time") >= 5
    again = browser.post("/schedules", fields)
    assert again.status == 409
    assert "a schedule night exists already" in again.words
    new = again.text.partition('<ul class="schedules">')[0]
    assert 'name="rule" value="cron" checked' in new
    assert 'name="cron" aria-label="Crontab" value="*/5 22-23 * * mon-fri"' in new
    assert re.findall(r'value="(\w+)" checked> ', new) == ["cron", "main"]
    changed = browser.post(
        "/schedules",
        {
            "command": "schedule/set",
            "place": "night",
            "name": "night",
            "rule": "every",
            "every": "2",
            "unit": "3600",
            "all_meters": "1",
        },
    )
    assert "every 2 hours" in changed.words
    paused = browser.post(
        "/schedules", {"command": "schedule/disable", "place": "night", "name": "night"}
    )
    assert "paused" in paused.words
    ran = browser.post("/schedules", {"command": "schedule/run", "place": "night", "name": "night"})
    assert "Done" in followed(browser, ran.text) or "Failed" in followed(browser, ran.text)
    gone = browser.post(
        "/schedules", {"command": "schedule/remove", "place": "list.", "name": "night"}
    )
    assert "Removed" in gone.words
    assert "every 2 hours" not in gone.words


@pytest.mark.parametrize("name", ["new", "list"])
def test_a_schedule_may_have_any_name(house: House, name: str) -> None:
    browser = house.browser()
    fields = {"command": "schedule/add", "place": "new.", "name": name, "every": "3600"}
    assert browser.post("/schedules", fields | {"rule": "every", "all_meters": "1"}).status == 200
    wrong = {"command": "schedule/set", "place": name, "name": name, "rule": "every", "every": "x"}
    reply = browser.post("/schedules", wrong)
    assert reply.text.count('class="answer') == 1
    ids = re.findall(r' id="([^"]+)"', reply.text)
    assert len(ids) == len(set(ids))
    remove = {"command": "schedule/remove", "place": "list.", "name": name}
    assert "Removed" in browser.post("/schedules", remove).words


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rule": "every", "every": "soon"}, "every: must be a whole number"),
        ({"rule": "every", "every": "0"}, "every"),
        ({"rule": "cron", "cron": "* * *"}, "3 fields"),
        ({"rule": "cron", "cron": "* * * * *", "timezone": "Mars/Base"}, "no time zone Mars/Base"),
        ({"rule": "every", "every": "5", "args": "{"}, "args: not valid JSON"),
        ({"rule": "every", "every": "5", "args": '{"x": NaN}'}, "args: not valid JSON"),
        ({"rule": "every", "every": "5", "meters": ["nobody"]}, "nobody"),
    ],
)
def test_a_wrong_schedule_is_refused_where_it_was_typed(
    house: House, fields: dict[str, str], sentence: str
) -> None:
    browser = house.browser()
    new = {"command": "schedule/add", "place": "new.", "name": "wrong"}
    if "meters" not in fields:
        new["all_meters"] = "1"
    reply = browser.post("/schedules", new | fields)
    assert reply.status == (404 if sentence == "nobody" else 422)
    assert sentence in reply.words
    assert 'value="wrong"' in reply.text
    form = reply.text.partition('<ul class="schedules">')[0]
    assert f'value="{fields["rule"]}" checked' in form
    assert f'value="{fields[fields["rule"]]}"' in form


def test_the_second_of_two_conflicting_changes_of_a_schedule_is_refused(house: House) -> None:
    browser = house.browser()
    change = {"command": "schedule/set", "place": "fetch", "name": "fetch", "rule": "every"}
    change |= {"unit": "1", "all_meters": "1"}

    def seen(text: str) -> str:
        found = re.search(r'value="fetch"><input type="hidden" name="seen" value="(\w+)"', text)
        assert found, text
        return found[1]

    mine = change | {"every": "7", "seen": seen(browser.get("/schedules").text)}
    assert "every 3 s" in house.browser().post("/schedules", change | {"every": "3"}).words
    refused = browser.post("/schedules", mine)
    assert refused.status == 422
    assert "Refused: the settings were changed elsewhere in the meantime" in refused.words
    assert "every 3 s" in refused.words
    assert 'aria-label="Every" value="7"' in refused.text
    again = browser.post("/schedules", mine | {"seen": seen(refused.text)})
    assert "every 7 s" in again.words
    browser.post("/schedules", {"command": "schedule/reset", "place": "fetch", "name": "fetch"})


def test_a_change_by_the_command_line_is_not_overwritten(house: House) -> None:
    browser = house.browser()
    config = f"--config={house.service.config}"
    shown = browser.get("/schedules").text
    (seen,) = re.findall(r'value="fetch"><input type="hidden" name="seen" value="(\w+)"', shown)
    assert esquirell_process(config, "schedule", "set", "fetch", "--every", "3").code == 0
    change = {"command": "schedule/set", "place": "fetch", "name": "fetch", "rule": "every"}
    mine = change | {"every": "9", "unit": "1", "all_meters": "1", "seen": seen}
    refused = browser.post("/schedules", mine)
    assert refused.status == 422
    assert "changed elsewhere in the meantime" in refused.words
    assert "every 3 s" in refused.words
    browser.post("/schedules", {"command": "schedule/reset", "place": "fetch", "name": "fetch"})


def test_only_what_was_changed_no_longer_follows_the_configuration_file(house: House) -> None:
    browser = house.browser()

    def save(**fields: str) -> Reply:
        shown = browser.get("/schedules").text
        (seen,) = re.findall(r'value="fetch"><input type="hidden" name="seen" value="(\w+)"', shown)
        change = {"command": "schedule/set", "place": "fetch", "name": "fetch", "seen": seen}
        form = {"rule": "every", "unit": "1", "all_meters": "1", "args": "", "cron": "0 6 * * *"}
        return browser.post("/schedules", change | form | fields)

    def overrides() -> object:
        query = "SELECT overrides FROM schedule WHERE name = 'fetch'"
        return json.loads(str(house.service.rows(query)[0][0]))

    assert "Saved" in save(every="1").words
    assert overrides() == {}
    assert "Saved" in save(every="4").words
    assert overrides() == {"every": 4}
    assert "Saved" in save(rule="cron").words
    assert overrides() == {"cron": "0 6 * * *", "timezone": None}
    browser.post("/schedules", {"command": "schedule/reset", "place": "fetch", "name": "fetch"})


def test_of_two_saves_in_the_same_instant_one_is_refused(house: House) -> None:
    browser = house.browser()
    shown = browser.get("/schedules").text
    (seen,) = re.findall(r'value="fetch"><input type="hidden" name="seen" value="(\w+)"', shown)
    change = {"command": "schedule/set", "place": "fetch", "name": "fetch", "rule": "every"}
    change |= {"unit": "1", "all_meters": "1", "seen": seen, "_xsrf": browser.token}
    with ThreadPoolExecutor() as pool:
        replies = pool.map(
            lambda every: browser.post("/schedules", change | {"every": every}), "234567"
        )
        assert sorted(reply.status for reply in replies) == [200, *[422] * 5]
    browser.post("/schedules", {"command": "schedule/reset", "place": "fetch", "name": "fetch"})


def test_a_schedule_removed_elsewhere_is_reported_as_gone(house: House) -> None:
    change = {"command": "schedule/set", "place": "gone", "name": "gone", "rule": "every"}
    change |= {"every": "5", "unit": "1", "seen": "12ab34cd"}
    reply = house.browser().post("/schedules", change)
    assert reply.status == 404
    assert "there is no schedule gone" in reply.words


def test_a_meter_removed_elsewhere_is_reported_as_gone(house: House) -> None:
    change = {"command": "meter/set", "place": "change", "label": "Shed", "seen": "12ab34cd"}
    for fields in (change, {"command": "fetch", "place": "fetch"}):
        reply = house.browser().post("/meters/gone", fields)
        assert reply.status == 404
        assert "there is no meter gone" in reply.words


def test_a_changed_schedule_can_be_reset_to_the_configuration_file(house: House) -> None:
    browser = house.browser()
    fetch = {"name": "fetch", "place": "fetch"}
    paused = browser.post("/schedules", fetch | {"command": "schedule/disable"})
    assert "fetch paused changed" in paused.words
    assert "Reset to the configuration file" in paused.words
    reset = browser.post("/schedules", fetch | {"command": "schedule/reset"})
    assert "Reset to the configuration file" not in reset.words


def test_the_page_of_an_unknown_meter_is_not_found(house: House) -> None:
    assert house.browser().get("/meters/nobody").status == 404
