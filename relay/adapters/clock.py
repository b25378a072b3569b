"""The machine's clocks, as ``relay.ports.Clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """Linux: the time since boot goes on counting while the machine sleeps, and its boot has an id."""

    def __init__(self, boot_id_file: Path = _BOOT_ID) -> None:
        try:
            self._boot_id = boot_id_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            self._boot_id = ""

    def now(self) -> datetime:
        """Aware UTC in whole milliseconds: what the database and the wire keep."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic_ms(self) -> int:
        """Milliseconds since boot, sleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def boot_id(self) -> str:
        """The kernel's name of this boot; empty where there is none, so that no clock step is guessed."""
        return self._boot_id
