"""The disk of the outbox: room, writable, quick, without recorded errors, and no outbox that was set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device.adapters.disk import prove_disk
from device.core.wellness import WellnessLimits
from device.findings import Finding, Severity
from device.ports import StoreError
from doorbell.wire import Health

SLOW_MS = 1_000
"""A card that is well confirms a page within 10 to 100 ms; a press waits for one such write."""


@dataclass(frozen=True, slots=True)
class DiskReading:
    """``fsync_ms``: how long a page took to be on the disk and read back; None if it failed, for ``reason``."""

    path: str
    there: bool
    health: Health
    fsync_ms: int | None
    reason: str | None
    set_aside: tuple[str, ...]


def read_disk(
    state_dir: Path,
    health: Health,
    *,
    prove: Callable[[Path], None] = prove_disk,
    now: Callable[[], float] = time.monotonic,
) -> DiskReading:
    """Write a page, force it to the disk, read it back, delete it; and look beside the outbox."""
    began, reason = now(), None
    try:
        prove(state_dir)
    except StoreError as error:
        reason = str(error)
    took_ms = round((now() - began) * 1000)
    aside = tuple(sorted(path.name for path in state_dir.glob("*.corrupt-?")))
    return DiskReading(str(state_dir), state_dir.is_dir(), health, took_ms if reason is None else None, reason, aside)


def check_disk(reading: DiskReading, limits: WellnessLimits) -> Iterator[Finding]:
    """The findings, by the same thresholds as the daemon's own."""
    health, least_mb = reading.health, _least_mb(reading.health, limits)
    if not reading.there:
        yield Finding("disk", "missing", Severity.WARNING, {"path": reading.path})
        return
    well = True
    if health.disk_read_only:
        well = False
        yield Finding("disk", "read_only", Severity.FAILURE, {"path": reading.path})
    elif reading.fsync_ms is None:
        well = False
        yield Finding("disk", "unwritable", Severity.FAILURE, {"path": reading.path, "reason": reading.reason or ""})
    elif reading.fsync_ms > SLOW_MS:
        well = False
        yield Finding("disk", "slow", Severity.WARNING, {"fsync_ms": reading.fsync_ms})
    if health.disk_free_mb is not None and health.disk_free_mb < least_mb:
        well = False
        yield Finding("disk", "low", Severity.WARNING, {"free_mb": health.disk_free_mb, "least_mb": least_mb})
    if health.disk_errors:
        yield Finding("disk", "errors", Severity.WARNING, {"count": health.disk_errors})
    if reading.set_aside:
        data = {"count": len(reading.set_aside), "files": list(reading.set_aside)}
        yield Finding("disk", "set_aside", Severity.WARNING, data)
    if well:
        free = "?" if health.disk_free_mb is None else health.disk_free_mb
        yield Finding("disk", "good", Severity.OK, {"free_mb": free, "fsync_ms": reading.fsync_ms})


def _least_mb(health: Health, limits: WellnessLimits) -> int:
    total = health.disk_total_mb
    return limits.disk_free_mb if total is None else min(limits.disk_free_mb, total // 10)
