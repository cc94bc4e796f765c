"""`esquirell`, whose bridge looks for news every second instead of every ten."""

from esquirell.__main__ import main
from esquirell.mqtt.bridge import Bridge

Bridge.refresh_s = Bridge.health_look_s = 1.0

if __name__ == "__main__":
    main()
