"""What the tests of the direct way share: who is who, and what is said."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from device.core.peer import PeerLimits
from doorbell.wire import ClockState, Event, EventType
from tests.device.doubles import ALARM, OTHER, START

LIMITS = PeerLimits()
NOW = 1_000_000
BELL, SECOND, PANEL = "bell-peng", "bell-zhao", "button-liu"
E1 = "01938f3c-0000-4000-8000-00000000000a"
E2 = "01938f3c-0000-4000-8000-00000000000b"
STRANGER = "01938f3c-0000-4000-8000-0000000000ff"
PRESSES = ((ALARM, NOW - 8_000), (OTHER, NOW - 2_000))


def said(kind: EventType, *, id_: str = E1, alarm: str | None = ALARM, age_ms: int = 20, **more: Any) -> Event:
    return Event(id=id_, type=kind, at=START, age_ms=age_ms, clock=ClockState.SYNCED, alarm=alarm, **more)


KINDS = st.sampled_from([EventType.ACCEPT, EventType.DECLINE, EventType.DONE, EventType.HELP, EventType.OK])
