"""The cached content of bridge/info follows the configuration."""

from esquirell.runtime.bridging import BridgeInfoCache
from esquirell.settings import Settings


def of_level(level: str) -> Settings:
    return Settings.model_validate({"timezone": "UTC", "log": {"level": level}})


def test_it_is_built_once_per_configuration() -> None:
    cache, settings = BridgeInfoCache(), of_level("info")
    assert cache.info(settings, "house") is cache.info(settings, "house")


def test_another_configuration_is_built_again() -> None:
    cache = BridgeInfoCache()
    cache.info(of_level("info"), "house")
    info = cache.info(of_level("debug"), "house")
    assert info["config"]["log"] == {"level": "debug"}
    assert info["base_topic"] == "house"
