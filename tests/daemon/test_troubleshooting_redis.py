"""What the troubleshooting guide says of Redis that fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from support.troubleshooting import FAULTS, WELL, House, check_faults, expect


@contextmanager
def redis_killed(house: House) -> Iterator[None]:
    house.server.kill()
    yield
    house.server.start()


@contextmanager
def redis_read_only(house: House) -> Iterator[None]:
    house.server.client.replicaof("127.0.0.1", "1")
    yield
    house.server.client.replicaof("NO", "ONE")


@contextmanager
def redis_full(house: House) -> Iterator[None]:
    house.server.client.config_set("maxmemory-policy", "noeviction")
    house.server.client.config_set("maxmemory", "1")
    yield
    house.server.client.config_set("maxmemory", "0")


@contextmanager
def redis_forbids(house: House) -> Iterator[None]:
    """Take the rights to write away, as an administrator who sets up an ACL."""
    client = house.server.client
    client.acl_setuser("default", enabled=True, nopass=True, categories=["-@write"])
    yield
    client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])


@contextmanager
def redis_forbids_channels(house: House) -> Iterator[None]:
    house.server.client.acl_setuser("default", enabled=True, nopass=True, reset_channels=True)
    yield
    house.server.client.acl_setuser("default", enabled=True, nopass=True, channels=["*"])


def test_every_place_shows_a_fault_of_redis(house: House) -> None:
    faults = {"Redis is unreachable": redis_killed, "Redis refuses": redis_read_only}
    check_faults(house, faults)


def test_each_way_that_redis_refuses_is_named(house: House) -> None:
    """Where the guide says so; meters are offline only after three intervals."""
    fault = "Redis refuses"
    said = {place: FAULTS[fault][place] for place in ("health", "doctor", "bridge/health")}
    for refusal in (redis_full, redis_forbids, redis_forbids_channels):
        with refusal(house):
            expect(house, said, f"{fault}: {refusal.__name__}")
        expect(house, {"health": WELL["health"]}, f"after {fault}")
