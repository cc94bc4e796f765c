"""MQTT: everything that uses paho.

paho needs `urllib.request` for proxies of websockets alone: with what that loads, 0.3 MiB.
"""

from esquirell.lazy_import import lazy_import

with lazy_import("urllib.request"):
    import paho.mqtt.client  # noqa: F401 - loaded here, without that
