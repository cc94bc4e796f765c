"""Whether Redis does what is needed: one that answers may still refuse writes."""

import uuid

from esquirell.broker.connection import Client, RedisError, unavailable
from esquirell.broker.queue import KEY_PREFIX

PREFIX = "esquirell:probe:"
KEPT_MS = 5000

# What a lease and a queue do.
TRY = """
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('get', KEYS[1])
"""


def probe(client: Client) -> None:
    """Write, run a script, pass a message and publish one.

    Raises UnavailableError with Redis' own words.
    """
    key = PREFIX + uuid.uuid4().hex
    try:
        # A refused command is named in the error; a refused script only says that it was refused.
        with client.pipeline(transaction=False) as steps:
            steps.set(key, "1", px=KEPT_MS)
            steps.eval(TRY, 1, key, "1", KEPT_MS)
            steps.execute()
        with client.pipeline() as steps:
            steps.lpush(f"{key}:queue", "1")
            steps.brpop([f"{key}:queue"], timeout=1)
            steps.delete(key)
            steps.execute()
        # Without rights on the channel that all workers hear, kombu connects anew for ever.
        database = client.get_connection_kwargs().get("db", 0)
        client.publish(f"{KEY_PREFIX}/{database}.probe", "")
    except RedisError as error:
        raise unavailable(error) from None
