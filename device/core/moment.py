"""The one reading of clock and chance that a turn is given, so that the core needs neither."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from doorbell.wire import ClockState, Event

_MASK = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Moment:
    """When a turn happens.

    ``now_ms``: monotonic milliseconds since the device booted. ``wall``: aware UTC, wrong while not ``synced``.
    ``boot``: names this boot; monotonic times of another boot cannot be compared with ours. ``entropy``: 128 random
    bits. ``jitter``: -1 to 1, spreads the resends of a fleet.
    """

    now_ms: int
    wall: datetime
    synced: bool
    boot: str
    entropy: int
    jitter: float

    @property
    def clock(self) -> ClockState:
        """What an event says of the clock it was stamped with."""
        return ClockState.SYNCED if self.synced else ClockState.UNSYNCED

    def under_way_ms(self, said: Event) -> int | None:
        """How long what another device said has been on its way beside the age it tells; None where two wall clocks
        that are to be believed are missing. Never below 0: a clock that is ahead makes nothing younger."""
        if not self.synced or said.clock is not ClockState.SYNCED:
            return None
        return max(0, (self.wall - said.at) // timedelta(milliseconds=1) - said.age_ms)

    def event_id(self, seq: int) -> str:
        """The id (UUID v4) of the event that will be number ``seq``: random by the turn, different within it."""
        # Spread over all bits: a bare seq could differ in nothing but the six that version and variant overwrite.
        return str(uuid.UUID(int=(self.entropy ^ (seq * 0x9E3779B97F4A7C15F39CC0605CEDC835)) & _MASK, version=4))
