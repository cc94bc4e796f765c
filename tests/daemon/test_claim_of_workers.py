"""Workers of several databases on one Redis: each would get the readings of some meters only."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.redis_server import RedisProcess
from support.service import Service
from support.waiting import eventually

from esquirell.broker.connection import Address, connect
from esquirell.broker.lease import Lease
from esquirell.daemon.lock import AlreadyRunningError
from esquirell.daemon.preparing import ANOTHER_DATABASE, SERVER, identity, leases_of
from esquirell.daemon.service_locks import RedisClaim

KEY = "esquirell:lease:database"


def claim_of(server: RedisProcess, find: Callable[[], str | None]) -> RedisClaim:
    client = connect(Address(server.url))
    leases = leases_of(find, lambda owner: Lease(client, "database", owner, quiet=True))
    return RedisClaim(leases, lambda _: ANOTHER_DATABASE)


def test_a_file_is_identified_by_its_folder_and_its_machine(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "mounted").symlink_to(tmp_path / "here")
    ours = identity(tmp_path / "here/house.db", "boot")
    assert ours
    # As another container sees the same volume, and after the file was replaced.
    assert identity(tmp_path / "mounted/house.db", "boot") == ours
    others = {
        identity(tmp_path / "there/house.db", "boot"),
        identity(tmp_path / "here/barn.db", "boot"),
        identity(tmp_path / "here/house.db", "boot of the machine with a copied card"),
        identity(None, "boot"),
    }
    assert len(others) == 4
    assert ours not in others
    assert identity(None, "another boot") == SERVER
    assert identity(tmp_path / "unmounted/house.db", "boot") is None


def test_workers_with_one_database_share_a_redis_and_another_is_refused(
    server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    found = {"other": "other"}
    first, second = (claim_of(server, lambda: "one") for _ in range(2))
    other = claim_of(server, lambda: found.get("other"))
    first.take(patience_s=0)
    second.take(patience_s=0)
    with pytest.raises(AlreadyRunningError, match="a worker with another database uses this Redis"):
        other.take(patience_s=0)
    other.keep()
    assert other.rivals() == (ANOTHER_DATABASE,)
    assert caplog.text.count("another database") == 1
    # While a disk is unplugged nobody can say whose it is.
    found.clear()
    other.keep()
    assert other.rivals() == ()
    found["other"] = "other"
    # As it does by itself once none of them renews it.
    server.client.delete(KEY)
    other.keep()
    assert other.rivals() == ()
    late = claim_of(server, lambda: "one")
    late.keep()
    assert late.rivals() == (ANOTHER_DATABASE,)


def test_a_disk_that_was_plugged_in_again_is_no_rival(
    server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    found = {"it": "as disk 7:1"}
    client = connect(Address(server.url))
    leases = leases_of(
        lambda: found["it"], lambda owner: Lease(client, "database", owner, quiet=True)
    )
    claim = RedisClaim(leases, lambda _: ANOTHER_DATABASE, doubtful_s=20.0)
    claim.take(patience_s=0)
    found["it"] = "as disk 7:2"
    claim.keep()
    assert claim.rivals() == ()
    # As it does by itself when nobody renews it.
    server.client.delete(KEY)
    claim.keep()
    assert server.client.get(KEY) == "as disk 7:2"
    assert caplog.text == ""


def test_a_worker_with_a_database_of_its_own_does_not_start(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    server.client.set(KEY, "the database of another machine", px=600_000)
    worker = start(config, "worker")
    assert worker.wait() == 1
    assert "with another database uses this Redis" in worker.log
    assert "Traceback" not in worker.log
    assert worker.readings() == 0


def test_a_worker_that_ends_leaves_the_claim_to_the_others(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    worker = start(config, "worker")
    eventually(lambda: "esquirell.db" in str(server.client.get(KEY)))
    server.client.config_set("notify-keyspace-events", "Kg")
    with server.client.pubsub() as events:  # type: ignore[no-untyped-call]  # as redis has it
        events.subscribe(f"__keyspace@0__:{KEY}")
        assert worker.stop() == 0
        said = []
        while event := events.get_message(timeout=1.0):
            said.append(event["data"])
    # Subscribed, and perhaps renewed meanwhile.
    assert set(said) - {"expire"} == {1}


def test_a_service_names_a_worker_with_another_database(
    start: Callable[..., Service], config: str, server: RedisProcess
) -> None:
    server.client.set(KEY, "the database of another machine", px=600_000)
    service = start(config)
    eventually(lambda: "with another database uses this Redis" in service.log)
    eventually(lambda: service.readings() > 1)
    server.client.delete(KEY)
    eventually(lambda: "esquirell.db" in str(server.client.get(KEY)))
