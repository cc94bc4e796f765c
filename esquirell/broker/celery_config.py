"""Celery's settings, chosen so that it survives outages and loses nothing of ours."""

import ssl
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES

from esquirell.broker.connection import ANSWER_S, CONNECT_S, KEEPALIVE_CHECK_S, Address
from esquirell.broker.queue import COMMANDS, KEY_PREFIX, POLLS, REDBEAT_PREFIX, TASKS
from esquirell.domain.schedule import READS, TASK_PREFIX

# A message taken by a dead worker is redelivered after this time; a living one renews its claim
# before that (`transport.QoS`).
VISIBILITY_S = 300

# A worker waits for messages over a connection of which a router may forget without a word: it is
# dropped when an answer is late by this, which is looked for as often.
LATE_S = 5

# By name: kombu imports it when a connection is needed.
_TRANSPORT = "esquirell.broker.transport:Transport"


def celery_config(address: Address, zone: str, result_expires: timedelta) -> dict[str, Any]:
    """Return the settings of the Celery app for a Redis and a time zone.

    Results are kept for what a user's own code sends; our senders set `ignore_result` on each
    message. `beat_schedule` stays empty: schedules come from the database, and entries here would
    override every change by a user.
    """
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), _TRANSPORT))
    return {
        "broker_url": _url(address),
        "broker_use_ssl": _ssl(address),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 4,
        "broker_transport_options": _transport_options(address),
        "redbeat_redis_url": address.url,
        "redbeat_redis_options": {},
        "redbeat_key_prefix": REDBEAT_PREFIX,
        "redbeat_lock_key": None,
        "beat_schedule": {},
        "beat_max_loop_interval": 1,
        "result_backend": _url(address),
        "result_backend_transport_options": _sentinel_options(address) | _OWN_KEYS,
        # One for all threads: each would otherwise have its own connections.
        "result_backend_thread_safe": True,
        "result_expires": result_expires,
        "redis_backend_use_ssl": _ssl(address),
        "redis_backend_health_check_interval": KEEPALIVE_CHECK_S,
        "redis_socket_timeout": ANSWER_S,
        "redis_socket_connect_timeout": CONNECT_S,
        # redis-py's Unix socket connection does not accept it.
        "redis_socket_keepalive": not address.url.startswith("unix:"),
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": TASKS,
        "task_routes": {f"{TASK_PREFIX}{name}": POLLS for name in READS},
        "task_create_missing_queues": True,
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 1,
        },
        "timezone": zone,
        "enable_utc": True,
        "worker_prefetch_multiplier": 1,
        # Concerns only late-acknowledged tasks, which Redis delivers again anyway.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # Flower requests them when it runs: three messages per task, which cost a millisecond.
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
    }


QUEUES = (POLLS, COMMANDS, TASKS)


# Keeps our keys apart from those of other programs in the same Redis.
_OWN_KEYS = {"global_keyprefix": KEY_PREFIX}


def _sentinel_options(address: Address) -> dict[str, Any]:
    asked = address.sentinels
    return {"master_name": asked.master, "sentinel_kwargs": asked.options} if asked else {}


def _transport_options(address: Address) -> dict[str, Any]:
    return {
        **_sentinel_options(address),
        **_OWN_KEYS,
        "visibility_timeout": VISIBILITY_S,
        # Each is three queries; what comes back has waited for minutes.
        "unacked_restore_interval": 30,
        "unacked_restore_throttle": 1,
        "socket_timeout": ANSWER_S,
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": LATE_S,
    }


def _url(address: Address) -> str:
    """Return the URL as kombu and Celery expect it; their own dumps mask the password in it."""
    scheme, _, rest = address.url.partition("://")
    user, mark, host = rest.rpartition("@")
    if address.password:
        user, mark = f"{user}:{quote(address.password, safe='')}", "@"
    if scheme == "unix":
        path, _, query = host.partition("?")
        return f"redis+socket://{user}{mark}{path}?virtual_host={query.removeprefix('db=') or '0'}"
    if address.sentinels is None:
        return f"{scheme}://{user}{mark}{host}"
    named = (f"[{name}]" if ":" in name else name for name, _ in address.sentinels.hosts)
    ports = (port for _, port in address.sentinels.hosts)
    nodes = (f"{name}:{port}" for name, port in zip(named, ports, strict=True))
    return ";".join(f"sentinel://{user}{mark}{node}{host}" for node in nodes)


def _ssl(address: Address) -> dict[str, Any] | None:
    if not address.url.startswith("rediss://"):
        return None
    # Celery demands it explicitly; redis-py would require a certificate anyway.
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} | address.options
