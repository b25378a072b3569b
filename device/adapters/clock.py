"""The Pi's clocks: monotonic since boot, wall, and whether NTP has set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from doorbell.ntp import clock_is_synced

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ASK_AGAIN_MS = 5_000


class SystemClock:
    """The ``Clock`` of a real device. Once NTP has set the clock it counts as synced until the process ends: its drift
    (some seconds a day) does not make it worthless."""

    def __init__(self) -> None:
        self._synced = False
        self._ask_at_ms = 0
        self._boot = _BOOT_ID.read_text("ascii").strip() if _BOOT_ID.exists() else "unknown"

    def monotonic_ms(self) -> int:
        """CLOCK_MONOTONIC, which also stamps the edges of GPIO lines; begins at boot."""
        return time.monotonic_ns() // 1_000_000

    def wall(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def synced(self) -> bool:
        """Whether NTP has set the wall clock since boot; asked of the system every 5 s until it has."""
        if not self._synced and self.monotonic_ms() >= self._ask_at_ms:
            self._ask_at_ms = self.monotonic_ms() + _ASK_AGAIN_MS
            self._synced = clock_is_synced()
        return self._synced

    def boot_id(self) -> str:
        """The kernel's name for this boot."""
        return self._boot
