"""What a person says once about the cards of new devices: the settings' ``[provision]``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from doorbell.settings import MAX_FALLBACKS, FilePathSetting, HostName, PortNumber, Settings

MAX_PACKAGES = 400
"""Debian packages on a card: ours, and all it needs where there is no network at the first boot."""


class Hardware(StrEnum):
    """Which board it is: the ones that the device's package is made for."""

    PI_3 = "pi-3"
    PI_4 = "pi-4"
    PI_5 = "pi-5"
    PI_ZERO_2_W = "pi-zero-2w"

    @property
    def has_cable(self) -> bool:
        """Whether it has a socket for a network cable; one that has not needs Wi-Fi."""
        return self is not Hardware.PI_ZERO_2_W


class ProvisionSettings(Settings):
    """What every card has in common."""

    hosts: Annotated[tuple[HostName, ...], Field(max_length=1 + MAX_FALLBACKS)] = ()
    """Where devices reach the broker, the first one first: as in its certificate. Empty: as the relay reaches it."""
    port: PortNumber = 8883
    packages: Annotated[tuple[FilePathSetting, ...], Field(max_length=MAX_PACKAGES)] = ()
    """``.deb`` files, or folders of them: the device's package, and all it needs where there is no network."""
    hardware: Hardware = Hardware.PI_4
    wifi_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}\z")] = "CN"
    """Whose rules for radio hold: a Pi sends nothing before it knows."""
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}\z")] = "Asia/Shanghai"
    ssh_keys: FilePathSetting | None = None
    """Public keys, one a line, of those who may come in by SSH as ``technician``. Without it there is no SSH at all."""
    upgrades: bool = False
    """Security updates by themselves. Off: nothing listens on a device, and one that worked yesterday works today."""
    panel: FilePathSetting | None = None
    bell: FilePathSetting | None = None
    """A file with more of a device's settings (``[pins]``, ``[sound]`` …) for every panel, and for every bell."""
