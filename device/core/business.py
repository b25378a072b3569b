"""What a device needs its connection for at this moment. Pure."""

from __future__ import annotations

from device.core.machine import DeviceState
from device.core.panel import PanelState
from doorbell.broker_order import Need
from doorbell.wire import EventType

_OF_ITSELF = (EventType.TEST, EventType.FAULT, EventType.RENEW)


def device_need(state: DeviceState) -> Need:
    """A press or an answer waits for its receipt, or an alarm is open that the relay has told of: no moment to change
    brokers if it can wait. What tells of the device itself is in no hurry."""
    if any(one.row.type not in _OF_ITSELF for one in state.outbox.waiting):
        return Need.RECEIPT
    role = state.role
    told = role.alarm is not None if isinstance(role, PanelState) else bool(role.rings)
    return Need.ALARM if told or state.chime else Need.NONE
