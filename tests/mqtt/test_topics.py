import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from esquirell.mqtt.topics import Topics, entity_id

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
levels = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="+#/$"), min_size=1, max_size=20
)
bases = st.lists(levels, min_size=1, max_size=3).map("/".join)


@given(bases, bases, names)
def test_any_base_topic_yields_valid_topics_and_ids(base: str, prefix: str, name: str) -> None:
    topics = Topics(base, prefix)
    device = topics.meter_id(name)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", device)
    assert re.fullmatch(r"sensor\.[a-z0-9_]+", entity_id("sensor", topics.meter_id(name, "power")))
    assert topics.meter_of(topics.meter_availability(name)) == name
    assert topics.meter_of(topics.meter_state(name)) == name
    assert topic_matches_sub(topics.all_availabilities, topics.meter_availability(name))
    assert device != topics.bridge_id
    topics.discovery(device).encode()


def test_the_topics_of_the_contract() -> None:
    topics = Topics()
    assert topics.bridge_state == "esquirell/bridge/state"
    assert topics.bridge_info == "esquirell/bridge/info"
    assert topics.bridge_health == "esquirell/bridge/health"
    assert topics.bridge_event == "esquirell/bridge/event"
    assert topics.meter_state("main") == "esquirell/meter/main/state"
    assert topics.meter_availability("main") == "esquirell/meter/main/availability"
    assert topics.meter_fetch("main") == "esquirell/meter/main/fetch"
    assert topics.birth == "homeassistant/status"
    assert topics.discovery("esquirell_main") == "homeassistant/device/esquirell_main/config"
    assert topics.meter_id("main", "voltage_a") == "esquirell_main_voltage_a"


def test_an_answer_has_a_topic_however_long_the_question() -> None:
    topics = Topics()
    longest = "y" * (65_535 - len(topics.request("")))
    assert topics.response(longest) == "esquirell/bridge/response"
    assert topics.response(longest[1:]) == f"esquirell/bridge/response/{longest[1:]}"


def test_a_topic_of_a_command_names_what_it_is_about() -> None:
    topics = Topics("home/esquirell")
    assert topics.subject_of("home/esquirell/meter/main/fetch") == "main"
    assert topics.subject_of("home/esquirell/schedule/fetch/set") == "fetch"
    assert topics.subject_of("home/esquirell/bridge/request/fetch") is None


def test_retained_messages_are_recognised_by_topic() -> None:
    topics = Topics("a/b", "ha")
    kinds = {
        topics.bridge_state: "bridge",
        topics.meter_state("main"): "state",
        topics.meter_availability("main"): "availability",
        topics.meter_cost("main"): "cost",
        topics.schedule_state("night"): "schedule",
        topics.discovery(topics.meter_id("main")): "discovery",
        topics.schedule_discovery("night"): "schedule discovery",
    }
    others = (
        *("a/b", "a/b/meter/main", "a/b/notes", "ha/device/x/y/z/config", "ha/sensor/x/config"),
        *(topics.meter_history("main"), topics.bridge_event, topics.request("fetch")),
    )
    assert {topic: topics.kind_of(topic) for topic in kinds} == kinds
    assert {topics.kind_of(topic) for topic in others} == {""}
    assert all(topics.is_ours(topic) == topic.startswith("a/b/") for topic in kinds)


def test_a_topic_names_its_schedule_and_its_meter() -> None:
    topics = Topics()
    assert topics.schedule_of(topics.schedule_state("night")) == "night"
    assert topics.meter_of(topics.meter_state("main")) == "main"


def test_all_that_is_retained_is_read_again_and_announcements_only_with_a_prefix() -> None:
    topics = Topics("a/b", "ha")
    retained = [
        *(topics.bridge_state, topics.bridge_info, topics.bridge_health),
        *(topics.meter_state("main"), topics.meter_availability("main"), topics.meter_cost("main")),
        topics.schedule_state("night"),
    ]
    announced = [topics.discovery("anybody"), topics.schedule_discovery("night")]
    for topic in (*retained, *announced):
        assert [one for one in topics.everything if topic_matches_sub(one, topic)], topic
    silent = Topics("a/b", "")
    for topic in retained:
        assert [one for one in silent.everything if topic_matches_sub(one, topic)], topic
    assert all(one.startswith("a/b/") for one in silent.everything)
    assert len(silent.everything) == len(topics.everything) - 2
    assert silent.kind_of("/device/esquirell_main/config") == ""


@pytest.mark.parametrize(
    ("topic", "command", "adds"),
    [
        ("a/b/meter/main/fetch", "fetch", {"meters": ["main"]}),
        ("a/b/schedule/night/set", "schedule/set", {"name": "night"}),
        ("a/b/schedule/night/run", "schedule/run", {"name": "night"}),
        ("a/b/bridge/request/schedule/add", "schedule/add", {}),
        ("a/b/bridge/request/restart", "restart", {}),
        ("a/b/bridge/request", "", {}),
    ],
)
def test_a_topic_maps_to_a_command(topic: str, command: str, adds: dict[str, object]) -> None:
    topics = Topics("a/b")
    assert topics.command_of(topic) == (command, adds)
    assert [one for one in topics.command_filters if topic_matches_sub(one, topic)]


@pytest.mark.parametrize(
    ("topic", "prefix", "may"),
    [
        ("answers/7", "ha", True),
        ("a/bc", "ha", True),
        ("hall", "ha", True),
        ("ha/x", "", True),
        ("a/b", "ha", False),
        ("a/b/meter/main/state", "ha", False),
        ("ha", "ha", False),
        ("ha/device/x/config", "ha", False),
        ("$SYS/x", "ha", False),
        ("answers/+", "ha", False),
        ("answers/#", "ha", False),
        ("answers/\0", "ha", False),
        ("", "ha", False),
    ],
)
def test_response_topics_that_would_overwrite_state_are_refused(
    topic: str, prefix: str, *, may: bool
) -> None:
    assert Topics("a/b", prefix).may_answer(topic) is may
