"""The clock: synchronised, of this age, and kept over a power cut by an RTC or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from device.findings import Finding, Severity
from device.ports import Clock
from device.selftest import MIN_YEAR

RTC_STRAY_S = 30
"""An RTC that is further from a synchronised clock has lost its time: crystals stray by seconds a week."""
_RTC = Path("/sys/class/rtc/rtc0/since_epoch")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """``rtc_offset_s``: the RTC's time minus the wall clock's, None without an RTC."""

    wall: datetime
    synced: bool
    rtc_offset_s: int | None


def read_clock(clock: Clock, rtc: Path = _RTC) -> ClockReading:
    """What the system knows."""
    wall, offset_s = clock.wall(), None
    with suppress(OSError, ValueError):
        offset_s = round(int(rtc.read_text("ascii")) - clock.wall().timestamp())
    return ClockReading(wall, clock.synced(), offset_s)


def check_clock(reading: ClockReading) -> Iterator[Finding]:
    """The findings; an RTC is judged only by a clock that can be believed."""
    if reading.wall.year < MIN_YEAR:
        yield Finding("clock", "lost", Severity.FAILURE, {"year": reading.wall.year})
    elif reading.synced:
        yield Finding("clock", "synced", Severity.OK, {"at": reading.wall.astimezone(UTC).isoformat("T", "seconds")})
    else:
        yield Finding("clock", "unsynced", Severity.WARNING, {"year": reading.wall.year})
    offset_s = reading.rtc_offset_s
    if offset_s is None:
        yield Finding("clock", "no_rtc", Severity.NOTE)
    elif reading.synced and abs(offset_s) > RTC_STRAY_S:
        yield Finding("clock", "rtc_off", Severity.WARNING, {"offset_s": offset_s})
    else:
        yield Finding("clock", "rtc", Severity.OK, {"offset_s": offset_s})
