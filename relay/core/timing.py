"""When did it happen? The best answer from a device's two clocks and the relay's one.

A synced device says ``at``. An unsynced one only knows how long ago it was: arrival minus ``age_ms``. A clock that
claims to be synced and is impossible (later than now, or a day off what its age says) is not believed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from doorbell.wire import ClockState, Event

BELIEVABLE = timedelta(hours=24)
"""Farther than this from arrival minus age, a wall clock is wrong: no broker holds a message that long for us."""


def happened_at(event: Event, received_at: datetime) -> datetime:
    """The time of an event in UTC, never after ``received_at``, in whole milliseconds."""
    by_age = received_at - timedelta(milliseconds=min(event.age_ms, _MAX_AGE_MS))
    if event.clock is ClockState.SYNCED and abs(event.at - by_age) <= BELIEVABLE:
        return min(event.at, received_at)
    return by_age


_MAX_AGE_MS = 10 * 365 * 86_400_000
