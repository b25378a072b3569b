"""When did it happen? The best answer from a device's two clocks and the relay's one.

``age_ms`` is counted by a monotonic clock and cannot be wrong, but it stands still while the message waits in a broker.
``at`` goes on counting there, but is a wall clock's: the device's may be wrong, and so may the relay's that it is
compared with. So ``at`` is believed as far as the message can have waited, and otherwise the age. A device that is not
synced has no ``at`` (wire contract).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from doorbell.wire import ClockState, Event
from doorbell.wire.messages import FIRST_YEAR

QUEUED = timedelta(hours=24)
"""For what may come from a broker's queue: no broker holds a message longer than this for us."""
FRESH = timedelta(seconds=10)
"""For what comes on a connection that has been up for a while: on its way as long as a live connection may be silent.
Two wall clocks that differ by more (one was set by hand) would else make every answer look hours old, for ever."""
_MAX_AGE_MS = 10 * 365 * 86_400_000
EARLIEST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
"""The wire has no earlier time: a bell would refuse the whole state that holds one, and not ring."""


def happened_at(event: Event, received_at: datetime, waited: timedelta = QUEUED) -> datetime:
    """The time of an event in UTC, never after ``received_at``, in whole milliseconds.

    ``waited``: how long the message may have been on its way at the most.
    """
    by_age = received_at - timedelta(milliseconds=min(event.age_ms, _MAX_AGE_MS))
    if event.clock is ClockState.SYNCED and abs(event.at - by_age) <= waited:
        return min(event.at, received_at)
    return max(by_age, EARLIEST)  # on a relay without a clock yet, an old press is from before 1970
