"""Notices that the machine's wall clock was set: then every deadline moves with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from relay.engine import Engine
from relay.ports import ClockAnchor
from relay.turn import Turn

CLOCK_STEP_MS = 200
"""A wall clock that moves this much against the machine's own was set: well under the 1 s that a deadline may move."""
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClockWatch:
    """``anchor``: how the clocks stood when this was last written down; of another boot it says nothing."""

    def __init__(self, boot_id: str, anchor: ClockAnchor | None, engine: Engine) -> None:
        self._boot_id = boot_id
        self._engine = engine
        same_boot = anchor is not None and anchor.boot_id != "" and anchor.boot_id == boot_id
        self._offset_ms = anchor.offset_ms if anchor is not None and same_boot else None
        self._prove = False
        self._log = structlog.get_logger("relay").bind()

    def prove(self) -> None:
        """Have the next turn write the anchor anew, so that it commits something."""
        self._prove = True

    def check(self, turn: Turn) -> None:
        """Notice that the wall clock was set, also between two runs of the relay within one boot of the machine."""
        offset_ms = (turn.now - _EPOCH) // _MS - turn.mono_ms
        delta_ms = 0 if self._offset_ms is None else offset_ms - self._offset_ms
        if self._offset_ms is not None and abs(delta_ms) < CLOCK_STEP_MS:
            if self._prove:
                turn.batch.anchor, self._prove = ClockAnchor(self._boot_id, self._offset_ms), False
            return
        self._prove = False  # the anchor below is a proof as well
        if self._offset_ms is None:  # another boot: a clock that is behind would put every deadline far away
            self._engine.cap_deadlines(turn)
        self._offset_ms = offset_ms
        turn.batch.anchor = ClockAnchor(self._boot_id, offset_ms)
        if delta_ms:
            self._engine.counts["clock.stepped"] += 1
            self._log.warning("clock.stepped", delta_ms=delta_ms)
            self._engine.step_clock(turn, delta_ms)
