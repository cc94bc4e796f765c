"""What the bridge tells of the configuration follows it."""

from esquirell.runtime.facts import Told
from esquirell.settings import Settings


def of_level(level: str) -> Settings:
    return Settings.model_validate({"timezone": "UTC", "log": {"level": level}})


def test_what_is_told_stays_while_the_configuration_does() -> None:
    told, settings = Told(), of_level("info")
    assert told.info(settings, "house") is told.info(settings, "house")


def test_another_configuration_is_told_anew() -> None:
    told = Told()
    told.info(of_level("info"), "house")
    info = told.info(of_level("debug"), "house")
    assert info["config"]["log"] == {"level": "debug"}
    assert info["base_topic"] == "house"
