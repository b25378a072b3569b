"""Is a device there? From its birth and will, its reports, and its silence.

A device is online from the first sign of it until its last will says ``offline`` or nothing is heard for
``SILENT_FACTOR`` times the interval that it promised (wire contract). Times are the relay's monotonic milliseconds:
presence is not stored, the retained messages bring it back after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from doorbell.wire import Presence, Reported

SILENT_FACTOR = 2.5
DEFAULT_INTERVAL_S = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one device: ``rev`` it has applied (None before the first report) and what it sounds."""

    online: bool = False
    silent_at_ms: int = 0
    rev: int | None = None
    ringing: tuple[str, ...] = ()
    interval_s: int = DEFAULT_INTERVAL_S
    willed: bool = False
    """Offline by its last will: newer than any report that the broker has kept."""


NEVER_SEEN = Seen()


def note_report(report: Reported, now_ms: int) -> Seen:
    """After a report; a report is also a sign of life, even after a will (wills can come late)."""
    return Seen(
        online=True,
        silent_at_ms=now_ms + round(report.next_in_s * 1000 * SILENT_FACTOR),
        rev=report.rev,
        ringing=tuple(sorted(report.ringing)),
        interval_s=report.next_in_s,
    )


def note_presence(seen: Seen, presence: Presence, now_ms: int) -> Seen:
    """After a birth or a will. Offline, nothing of it sounds as far as anybody can know."""
    if presence is Presence.ONLINE:
        return replace(extend_patience(seen, now_ms), online=True, willed=False)
    return replace(seen, online=False, ringing=(), willed=True)


def extend_patience(seen: Seen, now_ms: int) -> Seen:
    """After the relay's own line was down: what could not be heard was no silence, the interval begins anew."""
    return replace(seen, silent_at_ms=now_ms + round(seen.interval_s * 1000 * SILENT_FACTOR))


def note_time(seen: Seen, now_ms: int) -> Seen:
    """After time has passed: a device that kept silent too long is held offline."""
    if seen.online and now_ms >= seen.silent_at_ms:
        return replace(seen, online=False, ringing=())
    return seen
