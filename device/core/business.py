"""Whether a device is in the middle of something that should not be interrupted. Pure."""

from __future__ import annotations

from device.core.machine import DeviceState
from doorbell.wire import EventType


def device_busy(state: DeviceState) -> bool:
    """True while a press or an answer waits for its receipt, or a bell rings: no moment to change brokers if it can
    wait. What tells of the device itself is in no hurry."""
    urgent = any(one.row.type not in (EventType.TEST, EventType.FAULT) for one in state.outbox.waiting)
    return urgent or bool(state.chime)
