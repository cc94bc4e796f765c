"""Celery's settings, chosen so that it goes on through outages and loses nothing of ours."""

from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES

from esquirell.broker.connection import ANSWER_S, CONNECT_S, KEEPALIVE_CHECK_S, Address
from esquirell.broker.queue import COMMANDS, POLLS

# Longer than any task: a message that a dead worker had taken comes back after this time.
VISIBILITY_S = 300

# By name: kombu imports it when a connection is wanted.
_TRANSPORT = "esquirell.broker.transport:Transport"


def celery_config(address: Address, zone: str) -> dict[str, Any]:
    """Build the settings of the Celery app for a Redis and a time zone.

    `beat_schedule` stays empty: schedules come from the database, and what stood here would
    win over every change that a user makes.
    """
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), _TRANSPORT))
    return {
        "broker_url": _broker_url(address),
        "broker_use_ssl": _ssl(address),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 4,
        "broker_transport_options": _transport_options(address),
        "redbeat_redis_url": address.url,
        "redbeat_redis_options": {},
        "redbeat_lock_key": None,
        "beat_schedule": {},
        "beat_max_loop_interval": 1,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": POLLS,
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
        # Only tasks acknowledged late are meant, which a lost Redis delivers again anyway.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # Flower asks for them when it runs: three messages a task, which cost a millisecond.
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
    }


QUEUES = (POLLS, COMMANDS)


def _transport_options(address: Address) -> dict[str, Any]:
    asked = address.sentinels
    named = {"master_name": asked.master, "sentinel_kwargs": asked.options} if asked else {}
    return named | {
        "visibility_timeout": VISIBILITY_S,
        "unacked_restore_throttle": 1,
        "socket_timeout": ANSWER_S * 2,
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": KEEPALIVE_CHECK_S,
    }


def _broker_url(address: Address) -> str:
    """Write the URL as kombu reads it; its own dumps mask the password in it."""
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
    return {key: value for key, value in address.options.items() if key.startswith("ssl_")} or None
