"""MQTT: everything that knows paho."""
