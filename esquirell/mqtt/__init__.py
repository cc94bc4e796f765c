"""MQTT: everything that uses paho."""
