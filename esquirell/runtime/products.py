"""What is known on this machine about the products that meters are."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.profiles import Choices
from esquirell.profiles.choices import Announce, announce_nothing
from esquirell.profiles.memory import Files
from esquirell.settings import Settings
from esquirell.tuya.device_files import DEVICES, Descriptions, Products

VERSION = version("esquirell")


def known_profiles(
    settings: Callable[[], Settings], announce: Announce = announce_nothing
) -> Choices:
    """Return the choices of profiles, with those that were recognised here by earlier answers."""
    memory = Files(settings().state_dir / "recognised", VERSION)
    return Choices(
        lambda: settings().profiles_dir,
        lambda meter: describe(settings().state_dir, meter),
        memory,
        announce,
    )


def describe(state_dir: Path, meter: Meter) -> Device:
    """Return what is known about the device of a meter: from its file, else from the cloud.

    Else only the product id, configured or announced. Raises ConfigError.
    """
    if meter.mapping_file:
        from esquirell.settings import devices  # noqa: PLC0415 - few have such a file

        return devices.describe(meter.mapping_file, meter.device_id)
    known = Descriptions(state_dir / DEVICES).get(meter.device_id)
    product_id = meter.product_id or announced(state_dir).get(meter.device_id)
    return known or Device(product_id=product_id)


def announced(state_dir: Path) -> Products:
    """Return the products that devices have announced on the network."""
    return Products(state_dir / "products")
