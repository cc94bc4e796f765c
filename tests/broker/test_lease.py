from esquirell.broker.connection import Client
from esquirell.broker.lease import Lease

KEY = "esquirell:lease:beat"


def test_of_two_one_holds_it_and_the_other_follows_when_it_is_given_up(client: Client) -> None:
    one, other = (Lease(client, "beat", owner) for owner in ("one", "other"))
    assert one.hold()
    assert not other.hold()
    one.release()
    assert other.hold()
    assert client.get(KEY) == "other"


def test_what_somebody_else_holds_by_now_is_not_given_up(client: Client) -> None:
    slow, quick = (Lease(client, "beat", owner) for owner in ("slow", "quick"))
    assert slow.hold()
    # It ran out while its holder was away, and was taken between two steps of its release.
    client.delete(KEY)
    assert quick.hold()
    slow.release()
    assert client.get(KEY) == "quick"


class Interrupted(Client):
    """Lets the lease run out, and another take it, after each command."""

    def execute_command(self, *args: object, **options: object) -> object:
        answer: object = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's
        if args[0] != "SET":
            self.set(KEY, "quick")
        return answer


def test_nobody_gets_in_between_two_steps_of_giving_up(client: Client) -> None:
    slow = Interrupted(connection_pool=client.connection_pool)
    lease = Lease(slow, "beat", "slow")
    assert Lease(client, "beat", "slow").hold()
    assert lease.hold()
    client.set(KEY, "slow")
    lease.release()
    assert client.get(KEY) == "quick"
