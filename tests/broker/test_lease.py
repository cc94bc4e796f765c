from esquirell.broker.connection import Client
from esquirell.broker.lease import Lease

KEY = "esquirell:lease:beat"


def test_a_released_lease_goes_to_the_process_that_waits(client: Client) -> None:
    one, other = (Lease(client, "beat", owner) for owner in ("one", "other"))
    assert one.hold()
    assert not other.hold()
    one.release()
    assert other.hold()
    assert client.get(KEY) == "other"


def test_a_lease_taken_by_another_process_is_not_released(client: Client) -> None:
    slow, quick = (Lease(client, "beat", owner) for owner in ("slow", "quick"))
    assert slow.hold()
    # It ran out while its holder was away, and was taken between two steps of its release.
    client.delete(KEY)
    assert quick.hold()
    slow.release()
    assert client.get(KEY) == "quick"


class Interrupted(Client):
    """Lets another take the lease once, after the next command."""

    armed = False

    def execute_command(self, *args: object, **options: object) -> object:
        answer: object = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's
        if self.armed:
            self.armed = False
            self.set(KEY, "quick")
        return answer


def test_a_lease_taken_during_a_release_is_kept(client: Client) -> None:
    slow = Interrupted(connection_pool=client.connection_pool)
    lease = Lease(slow, "beat", "slow")
    assert lease.hold()
    slow.armed = True
    lease.release()
    assert client.get(KEY) == "quick"
