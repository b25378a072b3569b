"""How the Pi is, from a few files of the kernel: under a millisecond, no process started."""

from __future__ import annotations

import os
from pathlib import Path

from doorbell.wire import Health

_CPU = Path("/sys/class/thermal/thermal_zone0/temp")
_WIRELESS = Path("/proc/net/wireless")


class SystemHealth:
    """The ``HealthSource`` of a real device; what cannot be read is None. ``state_dir``: the disk to look at."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def read(self) -> Health:
        """What can be known now."""
        return Health(cpu_c=_cpu_c(), wifi_dbm=_wifi_dbm(), disk_free_mb=self._disk_free_mb())

    def _disk_free_mb(self) -> int | None:
        try:
            disk = os.statvfs(self._state_dir)
        except OSError:
            return None
        return disk.f_bavail * disk.f_frsize // 1_000_000


def _cpu_c() -> float | None:
    try:
        return int(_CPU.read_text("ascii")) / 1000
    except (OSError, ValueError):
        return None


def _wifi_dbm() -> int | None:
    """The level of the first interface: fourth column of the third line."""
    try:
        return int(float(_WIRELESS.read_text("ascii").splitlines()[2].split()[3]))
    except (OSError, ValueError, IndexError):
        return None
