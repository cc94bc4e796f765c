"""The other side of the LAN protocol: a meter that measures a simulated house."""

from esquirell.tuya.simulator.meter import SimulatedMeter

__all__ = ["SimulatedMeter"]
