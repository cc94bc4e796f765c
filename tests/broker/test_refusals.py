"""A Redis that answers and refuses: found out by trying, said once, in its own words."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.redis_server import RedisProcess
from support.waiting import eventually

from esquirell.broker.connection import (
    Address,
    Client,
    RedisError,
    RefusedError,
    connect,
    unavailable,
)
from esquirell.broker.diagnosis import probe
from esquirell.broker.lease import Lease
from esquirell.broker.outage import LASTS_S, MOST_WORDS, SOUND_S, Outage, cleanse
from esquirell.domain.errors import UnavailableError


def read_only(client: Client) -> None:
    client.replicaof("127.0.0.1", "1")


def without_a_replica(client: Client) -> None:
    client.config_set("min-replicas-to-write", "1")


def full(client: Client) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def unable_to_save(client: Client) -> None:
    folder = Path(str(client.config_get("dir")["dir"])) / "gone"
    folder.mkdir()
    client.config_set("dir", str(folder))
    shutil.rmtree(folder)
    client.config_set("save", "1 1")
    client.set("anything", 1)
    eventually(lambda: client.info()["rdb_last_bgsave_status"] == "err")


def without(*rights: str) -> Callable[[Client], None]:
    def take(client: Client) -> None:
        client.acl_setuser(
            "default", enabled=True, nopass=True, commands=rights, keys=["*"], channels=["*"]
        )

    return take


def without_channels(client: Client) -> None:
    client.acl_setuser("default", enabled=True, nopass=True, reset_channels=True)


REFUSALS: dict[str, Callable[[Client], None]] = {
    "read only replica": read_only,
    "NOREPLICAS Not enough good replicas": without_a_replica,
    "command not allowed when used memory": full,
    "MISCONF Redis is configured to save": unable_to_save,
    "no permissions to run the 'eval' command": without("-eval"),
    "no permissions to run the 'brpop' command": without("-brpop"),
    # "one of the channels" until Redis 7, then "a channel".
    "no permissions to access": without_channels,
}


@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_is_found_by_trying(server: RedisProcess, client: Client, words: str) -> None:
    probe(client)
    REFUSALS[words](server.client)
    with pytest.raises(RefusedError, match=r"^Redis refuses: ") as caught:
        probe(client)
    # One that can't save would not end.
    server.kill()
    assert words.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


def test_refused_values_are_not_in_the_error(server: RedisProcess, client: Client) -> None:
    full(server.client)
    with client.pipeline() as steps:
        steps.set("key", "a secret\nof two lines")
        with pytest.raises(RedisError) as caught:
            steps.execute()
    said = str(unavailable(caught.value))
    assert said == "Redis refuses: command not allowed when used memory > 'maxmemory'"


def test_an_unknown_command_is_named_without_its_arguments(client: Client) -> None:
    # As one that was renamed: the arguments differ each time, and so would what is said.
    with pytest.raises(RedisError) as caught:
        client.execute_command("RENAMED", "a secret")  # type: ignore[no-untyped-call]
    assert str(unavailable(caught.value)) == "Redis refuses: unknown command 'RENAMED'"


def test_a_password_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    server = RedisProcess(tmp_path, "secret")
    server.start()
    for password in (None, "wrong"):
        stranger = connect(Address(server.url, password))
        with pytest.raises(
            RefusedError, match=r"Authentication required|invalid username-password"
        ):
            probe(stranger)
        stranger.close()
    server.stop()


def test_one_that_holds_up_writes_does_not_answer_in_time(server: RedisProcess) -> None:
    client = connect(Address(server.url))
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.2
    server.client.client_pause(5000, all=False)
    with pytest.raises(UnavailableError, match="does not answer in time"):
        probe(client)
    client.close()


class Seconds:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_outage_is_said_once_and_its_failures_are_counted(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    outage = Outage(client, seconds)
    refused = UnavailableError("Redis refuses: no")
    for _ in range(10):
        outage.failed("beat", refused)
        outage.failed("worker", refused)
        seconds.now += 1
    outage.works("beat")
    seconds.now += SOUND_S
    outage.works("beat")
    assert [one.getMessage() for one in caplog.records] == [
        "Redis refuses: no; tasks and schedules wait until it works"
    ]
    outage.works("worker")
    assert caplog.messages[1:] == ["Redis works again after 9 s, 20 tries failed"]
    outage.works("worker")
    assert len(caplog.messages) == len(["began", "ended"])


def test_an_outage_that_lasts_is_a_problem_in_its_last_words(client: Client) -> None:
    seconds = Seconds()
    outage = Outage(client, seconds)
    for number in range(2):
        outage.failed("beat", UnavailableError(f"Redis refuses: {number}"))
        assert outage.problems == [], "it may be an interruption"
    seconds.now += LASTS_S
    assert outage.problems == ["Redis refuses: 1"]
    outage.works("beat")
    assert outage.problems == []


def test_a_flapping_redis_is_one_outage(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    outage = Outage(client, seconds)
    for number in range(100):
        outage.failed("beat", UnavailableError(f"Redis refuses: {number}"))
        seconds.now += SOUND_S / 2
        outage.works("beat")
    assert len(caplog.messages) == MOST_WORDS


def test_foreign_content_of_our_keys_is_discarded(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = {
        "esquirell:lease:beat",
        "esquirell:celery:polls",
        "esquirell:redbeat::schedule",
        "esquirell:schedules:turn",
    }
    client.rpush("esquirell:lease:beat", "x")
    client.set("esquirell:celery:polls", "x")
    client.set("esquirell:redbeat::schedule", "x")
    # Of the right type, but nobody would ever give it up.
    client.set("esquirell:schedules:turn", "x")
    client.set("another:program", "x")
    client.rpush("esquirell:celery:commands", "x")
    assert set(cleanse(client)) == strangers
    assert {str(key) for key in client.scan_iter()} == {
        "another:program",
        "esquirell:celery:commands",
    }
    client.set("esquirell:celery:polls", "x")
    Outage(client).failed("worker", RefusedError("Redis refuses: WRONGTYPE"))
    assert not client.exists("esquirell:celery:polls")
    assert "removed 1 of our keys in Redis" in caplog.text


def test_a_lease_without_expiry_is_free(client: Client) -> None:
    client.set("esquirell:lease:beat", "another program")
    assert Lease(client, "beat", "me").hold()


def test_a_redis_with_too_many_clients_is_reported(server: RedisProcess) -> None:
    first = server.client
    first.config_set("maxclients", 1)
    second = connect(Address(server.url))
    with pytest.raises(RefusedError, match="Redis refuses: max number of clients"):
        probe(second)
    second.close()
    first.config_set("maxclients", 100)
