"""The log and the system on the page."""

import http.client
import io
import tarfile
from datetime import UTC, datetime
from urllib.parse import urlencode

from support.page_house import House
from support.waiting import eventually

from esquirell.broker.processes import NAMED_S, PROCESSES, Presence
from esquirell.domain.process import Process
from esquirell.domain.reading import iso


def test_the_log_shows_the_source_of_each_command(house: House) -> None:
    browser = house.browser()
    browser.post("/schedules", {"command": "schedule/run", "place": "fetch", "name": "nobody"})
    words = browser.get("/log").words
    assert "Run a schedule nobody web page failed" in words
    link = browser.get("/log").text.partition('href="/log/')[2].partition('"')[0]
    entry = browser.get(f"/log/{link}")
    assert "unknown_schedule" in entry.words
    assert browser.get("/log?last=1").status == 200
    assert browser.get("/log?last=x").status == 200
    assert browser.get("/log/00000000-0000-0000-0000-000000000000").status == 404


def test_system_shows_the_parts_and_offers_a_backup(house: House) -> None:
    browser = house.browser()
    words = browser.get("/system").words
    for said in ("Worker", "Scheduler", "MQTT bridge", "Database", "esquirell", "Python"):
        assert said in words
    assert "MQTT broker" in words
    assert "Processes" not in words, "there is one"
    vanished = Process("garage", ("worker",), iso(datetime.now(UTC)), problems=("it is too dark",))
    presence = Presence(house.redis.client, "garage-1")
    presence.announce(vanished, vanished.roles)
    words = browser.get("/system").words
    assert "it is too dark" in words
    assert "garage" in words
    house.redis.client.expire(f"{PROCESSES}garage-1", NAMED_S - 3600)
    assert "last seen 1 h ago, did not sign off" in browser.get("/system").words
    presence.withdraw(*vanished.roles)
    assert browser.get("/system/backup").status == 405
    stranger = house.stranger()
    assert stranger.post("/system/backup", {}).status == 401
    jar = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    body = urlencode({"_xsrf": browser.token}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
    headers = {"Cookie": jar, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/system/backup", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "database.db" in archive.getnames()
    state = house.service.folder / "data"
    eventually(lambda: not list(state.glob(".download-*")), what="nothing of it is left")


def test_on_a_page_in_another_language_sentences_of_the_program_say_that_they_are_english(
    house: House,
) -> None:
    browser = house.browser()
    browser.post("/schedules", {"command": "schedule/run", "place": "fetch", "name": "gone"})
    german = {"Accept_Language": "de"}
    page = browser.get("/system", **german).text
    assert '<html lang="de">' in page
    assert '<p class="banner bad" role="status" lang="en">the MQTT broker at ' in page
    assert '<dd class="reason" lang="en">the MQTT broker at ' in page
    assert (
        '<span class="sub" lang="en">there is no schedule gone'
        in browser.get("/log", **german).text
    )
